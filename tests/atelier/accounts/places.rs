//! Coarse places of sessions: from a file that the operator brings, by the client's address at the sign-in (U38).

use std::path::PathBuf;

use atelier_server::config::AccessConfig;
use serde_json::json;

use super::sign_in;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

fn text(text: &str) -> Vec<u8> {
    [&[2 << 5 | u8::try_from(text.len()).expect("short")], text.as_bytes()].concat()
}

fn number(kind: u8, number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    // Wide numbers have their kind in a byte of its own.
    let head = if kind > 7 { vec![4, kind - 7] } else { vec![kind << 5 | if kind == 5 { 2 } else { 4 }] };
    [head, if kind == 5 { bytes[2..].to_vec() } else { bytes.to_vec() }].concat()
}

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let head = vec![7 << 5 | u8::try_from(pairs.len()).expect("few")];
    pairs.iter().fold(head, |map, (name, value)| [map, text(name), value.clone()].concat())
}

/// A file of places in MaxMind's format that knows 203.0.113.0/24 alone.
fn file_of_places() -> Vec<u8> {
    let named = |name: &str| map(&[("names", map(&[("en", text(name))]))]);
    let data = map(&[("city", named("Oslo")), ("country", named("Norway"))]);
    // One node for each bit of the network: on its way there is the next node, off it nothing.
    const NODES: u32 = 24;
    let network = u32::from_be_bytes([203, 0, 113, 0]);
    let mut tree = Vec::new();
    for bit in 0..NODES {
        let next = if bit + 1 == NODES { NODES + 16 } else { bit + 1 };
        let on = network >> (31 - bit) & 1;
        for side in [0, 1] {
            tree.extend_from_slice(&(if side == on { next } else { NODES }).to_be_bytes()[1..]);
        }
    }
    let metadata = map(&[
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        ("build_epoch", number(9, 1_700_000_000)),
        ("database_type", text("Test-City")),
        ("description", map(&[])),
        ("ip_version", number(5, 4)),
        ("languages", vec![0, 4]),
        ("node_count", number(6, NODES)),
        ("record_size", number(5, 24)),
    ]);
    [tree, vec![0; 16], data, b"\xab\xcd\xefMaxMind.com".to_vec(), metadata].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn u38_a_session_has_the_coarse_place_of_its_sign_in_sealed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file: PathBuf = folder.path().join("places.mmdb");
    std::fs::write(&file, file_of_places()).expect("written");
    let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    let access = AccessConfig { geoip: Some(file), trusted_proxies, ..AccessConfig::default() };
    let studio = TestStudio::start_with(access).await;
    let ada = studio.newcomer("ada").await;
    for address in ["203.0.113.77", "198.51.100.1", "2001:db8::1"] {
        sign_in(&studio, &[("x-forwarded-for", address)], &ada.email, PASSWORD).await;
    }
    studio.drain().await;
    let list = studio.graphql(Some(&ada.token), "{ me { sessions { place } } }", json!({})).await;
    let place = |place: &str| json!({ "place": place });
    let unknown = json!({ "place": null });
    // Newest first; the harness itself comes from this very machine.
    assert_eq!(list["me"]["sessions"], json!([unknown, unknown, place("Oslo, Norway"), unknown]));
    let rows: Vec<String> = sqlx::query_scalar("select row_to_json(s)::text from credentials.sessions s")
        .fetch_all(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert!(rows.iter().all(|row| !row.contains("Oslo") && !row.contains("203.0.113")), "{rows:?}");
    studio.stop().await;
}
