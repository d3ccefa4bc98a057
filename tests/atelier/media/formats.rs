//! Outputs of any media type are kept and fetched, and what cannot be delivered is not paid for.

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::ports::{MAX_WHOLE_BYTES, Rendered};
use atelier_commands::use_cases::GrantCredits;
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{Credits, LedgerId, LotId};
use bytes::Bytes;

use super::{Delivers, link, made};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// What a model says, what is served, and how the file is called.
const TYPES: &[(&str, &str, &str)] = &[
    ("image/png", "image/png", "png"),
    ("image/jpeg", "image/jpeg", "jpg"),
    ("image/webp", "image/webp", "webp"),
    ("image/gif", "image/gif", "gif"),
    ("image/avif", "image/avif", "avif"),
    ("image/svg+xml", "image/svg+xml", "svg"),
    ("image/x-unheard-of", "image/x-unheard-of", "bin"),
    ("video/mp4", "video/mp4", "mp4"),
    ("video/webm", "video/webm", "webm"),
    ("video/quicktime", "video/quicktime", "mov"),
    ("video/x-matroska", "video/x-matroska", "mkv"),
    ("audio/mpeg", "audio/mpeg", "mp3"),
    ("audio/wav", "audio/wav", "wav"),
    ("audio/x-wav", "audio/x-wav", "wav"),
    ("audio/ogg", "audio/ogg", "ogg"),
    ("audio/flac", "audio/flac", "flac"),
    ("audio/mp4", "audio/mp4", "m4a"),
    ("model/gltf-binary", "model/gltf-binary", "glb"),
    ("model/obj", "model/obj", "obj"),
    ("text/html", "text/html", "bin"),
    ("application/octet-stream", "application/octet-stream", "bin"),
    ("IMAGE/PNG", "image/png", "png"),
    ("Audio/MPEG; rate=44100", "audio/mpeg", "mp3"),
    ("video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"", "video/mp4", "mp4"),
    ("image/png;", "image/png", "png"),
    ("", "application/octet-stream", "bin"),
    ("png", "application/octet-stream", "bin"),
    ("image/../../png", "application/octet-stream", "bin"),
    ("image/png\r\nx: y", "application/octet-stream", "bin"),
    ("\u{1f3b5}", "application/octet-stream", "bin"),
];

/// Gives somebody credits.
async fn grant(studio: &TestStudio, person: &Person, amount: i64) {
    let write = &studio.node.studio.write;
    let (ledger, lot) = (LedgerId::live(studio.account(person).await), LotId(write.fresh_id()));
    let amount = Credits::new(amount);
    let grant = GrantCredits { ledger, lot, reason: GrantReason::Gift, amount, expires_at: None };
    grant.run(write, &studio.operator()).await.expect("credits are granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_an_output_of_any_media_type_is_kept_fetched_and_paid_for_once() {
    let bytes = |n: usize| Bytes::from(format!("output {n}\0\u{ff}"));
    let outputs = (0..).zip(TYPES).map(|(n, (media_type, ..))| Ok(Rendered { bytes: bytes(n), media_type })).collect();
    let studio = TestStudio::drawing(Arc::new(Delivers(outputs)), Duration::from_secs(30)).await;
    let ada = studio.newcomer("ada").await;
    grant(&studio, &ada, 100 * TYPES.len() as i64).await;
    let (_, key) = studio.api_key(&ada).await;
    for (n, (said, served, extension)) in TYPES.iter().enumerate() {
        let job = made(&studio, &key, n).await;
        assert_eq!((&job["status"], &job["credits_used"]), (&"succeeded".into(), &100.into()), "{said:?}: {job}");
        assert_eq!(job["images"][0]["content_type"], *served, "{said:?}");
        let got = studio.client().get(link(&job)).send().await.expect("the node answers");
        assert_eq!(got.status().as_u16(), 200, "{said:?}");
        assert_eq!(got.headers()["content-type"], *served, "{said:?}");
        assert_eq!(got.headers()["content-security-policy"], "default-src 'none'; sandbox");
        let name = got.headers()["content-disposition"].to_str().expect("plain letters").to_owned();
        let id = job["request_id"].as_str().expect("an id").trim_start_matches("gen_");
        assert_eq!(name, format!("attachment; filename=\"atelier-{id}-0.{extension}\""), "{said:?}");
        assert_eq!(got.bytes().await.expect("a body"), bytes(n), "{said:?}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_what_cannot_be_stored_or_is_refused_is_not_paid_for() {
    let large = Bytes::from(vec![0; usize::try_from(MAX_WHOLE_BYTES).expect("it fits") + 1]);
    let outputs = vec![Ok(Rendered { bytes: large, media_type: "video/mp4" }), Err("content_policy")];
    let studio = TestStudio::drawing(Arc::new(Delivers(outputs)), Duration::from_secs(30)).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let credits = async || studio.get("/v1/credits", Some(&key)).await.json();
    let before = credits().await;
    for number in [0, 1] {
        let job = made(&studio, &key, number).await;
        assert_eq!((&job["status"], &job["failure"]), (&"failed".into(), &"provider_failed".into()), "{job}");
        assert_eq!(credits().await, before, "they come back");
    }
    // Operators see why.
    let metrics = studio.get("/metrics", None).await.text;
    for reason in ["not_stored", "content_policy"] {
        assert!(metrics.contains(&format!("atelier_outputs_refused_total{{reason=\"{reason}\"}}")), "{reason}");
    }
    studio.stop().await;
}
