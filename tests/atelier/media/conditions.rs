//! Versions and parts of every kind of file, and what a client hears of one that is not there any more.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::json;

use super::{Delivers, kept_at, link, made};
use crate::accounts::avatars;
use crate::accounts::data_export;
use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// What came back: status, headers, body.
type Got = (u16, HeaderMap, Vec<u8>);

async fn ask(studio: &TestStudio, method: &str, link: &str, person: Option<&Person>, headers: &[(&str, &str)]) -> Got {
    let mut request = studio.client().request(method.parse().expect("a method"), link);
    if let Some(person) = person {
        request = request.bearer_auth(&person.token);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("the node answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.expect("a body").to_vec())
}

/// Asks for a file in every way a browser, a player or a download manager does.
async fn is_a_file(studio: &TestStudio, link: &str, person: Option<&Person>) {
    let get = async |headers: &[(&str, &str)]| ask(studio, "GET", link, person, headers).await;
    let (status, headers, whole) = get(&[]).await;
    assert_eq!((status, headers["accept-ranges"].as_bytes()), (200, b"bytes".as_slice()), "{link}");
    assert_eq!(headers["content-length"], whole.len().to_string().as_str());
    let tag = headers["etag"].to_str().expect("text").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "strong: {tag}");

    let (status, head, body) = ask(studio, "HEAD", link, person, &[("range", "bytes=0-0")]).await;
    assert_eq!((status, body.len()), (200, 0), "HEAD {link}");
    for name in ["content-length", "content-type", "content-disposition", "etag", "cache-control", "accept-ranges"] {
        assert_eq!(head.get(name).is_some(), headers.get(name).is_some(), "{name}");
        // Only this one counts down.
        assert!(name == "cache-control" || head.get(name) == headers.get(name), "{name}");
    }
    for method in ["GET", "HEAD"] {
        let (status, headers, body) = ask(studio, method, link, person, &[("if-none-match", &tag)]).await;
        assert_eq!((status, body.len(), headers["etag"].to_str().expect("text")), (304, 0, tag.as_str()), "{link}");
        assert!(headers.contains_key("cache-control"));
        // Caches take over what a 304 says of the file (RFC 9110 8.6): its length or nothing, never that of the empty answer.
        assert!(
            headers.get("content-length").is_none_or(|length| *length == whole.len().to_string()),
            "{method}: {headers:?}"
        );
    }
    assert_eq!(get(&[("if-none-match", "\"another\"")]).await.0, 200);
    assert_eq!(get(&[("if-match", "\"another\"")]).await.0, 412);

    let last = whole.len() - 1;
    for (range, start, end) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=1-3".to_owned(), 1, 3),
        ("bytes=10-".to_owned(), 10, last),
        ("bytes=-5".to_owned(), last - 4, last),
        (format!("bytes=0-{}", usize::MAX), 0, last),
        (format!("bytes=-{}", usize::MAX), 0, last),
    ] {
        let (status, headers, part) = get(&[("range", &range), ("if-range", &tag)]).await;
        assert_eq!(status, 206, "{link} {range}");
        let place = format!("bytes {start}-{end}/{}", whole.len());
        assert_eq!(headers["content-range"], place.as_str());
        assert_eq!(headers["content-length"], (end - start + 1).to_string().as_str());
        assert_eq!(part, whole[start..=end], "{link} {range}");
    }
    for header in [("range", "bytes=0-1,3-4"), ("range", "lines=0-1"), ("if-range", "\"another\"")] {
        let (status, _, body) =
            get([("range", "bytes=0-1"), header][usize::from(header.0 == "range")..].as_ref()).await;
        assert_eq!((status, body.len()), (200, whole.len()), "{header:?}");
    }
    let (status, headers, body) = get(&[("range", &format!("bytes={}-", whole.len()))]).await;
    assert_eq!(
        (status, headers["content-range"].to_str().expect("text")),
        (416, format!("bytes */{}", whole.len()).as_str())
    );
    assert!(String::from_utf8_lossy(&body).contains("range_not_satisfiable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_outputs_avatars_and_copies_are_files_to_every_client() {
    // More than one piece of the store, and of a body.
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let studio = TestStudio::drawing(Delivers::one("video/mp4", &bytes), Duration::from_secs(30)).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let output = link(&made(&studio, &key, 0).await);
    assert_eq!(ask(&studio, "GET", &output, None, &[]).await.2, bytes);
    is_a_file(&studio, &output, None).await;
    let place = avatars::place(&studio, &ada).await;
    let uploaded = avatars::put(&studio, &place, avatars::picture(200)).await.json();
    is_a_file(&studio, uploaded["urls"]["256"].as_str().expect("a link"), None).await;
    let export = data_export::asked(&studio, &ada).await;
    studio.drain().await;
    let export = format!("{}/exports/{export}", studio.url);
    is_a_file(&studio, &export, Some(&ada)).await;
    assert_eq!(ask(&studio, "GET", &export, None, &[("range", "bytes=0-1")]).await.0, 404, "its owner's alone");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_what_was_deleted_is_gone_and_what_is_lost_is_not_there_and_shows() {
    let studio = TestStudio::drawing(Delivers::one("image/png", b"pixels"), Duration::from_secs(30)).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let (first, second) = (made(&studio, &key, 0).await, made(&studio, &key, 0).await);
    let said = |got: Got| (got.0, got.1["cache-control"].to_str().expect("text").to_owned());
    let delete = "mutation($id: ID!) { deleteGeneration(input: {id: $id}) { deletedId userErrors { code } } }";
    studio.mutate(Some(&ada.token), delete, json!({ "id": first["request_id"] })).await;
    studio.drain().await;
    for (method, headers) in [("GET", vec![]), ("HEAD", vec![]), ("GET", vec![("range", "bytes=0-1")])] {
        let got = ask(&studio, method, &link(&first), None, &headers).await;
        assert_eq!(said(got), (410, "no-store".to_owned()), "{method}");
    }
    let lost = || async {
        let metrics = studio.get("/metrics", None).await.text;
        let count = metrics.lines().find_map(|line| line.strip_prefix("atelier_media_lost_total "));
        count.map_or(0, |count| count.parse::<u64>().expect("a number"))
    };
    let before = lost().await;
    std::fs::remove_file(kept_at(&studio, &ada, &second).await).expect("it is there to be lost");
    let got = ask(&studio, "GET", &link(&second), None, &[]).await;
    assert_eq!(said(got), (404, "no-store".to_owned()));
    assert!(lost().await > before, "an operator sees it");
    studio.stop().await;
}
