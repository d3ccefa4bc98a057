//! Bodies: the content type, the size, and every wrong field by its name; what is refused leaves no trace.

use serde_json::{Value, json};

use super::wire::{self, Reply};
use super::{balance, picture};
use crate::harness::TestStudio;

/// A newcomer with a key, and the head of the log from where nothing may move.
async fn at_rest() -> (TestStudio, String, i64) {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    studio.drain().await;
    let head = studio.head().await;
    (studio, key, head)
}

async fn nothing_happened(studio: TestStudio, key: &str, head: i64) {
    studio.drain().await;
    assert_eq!(studio.head().await, head, "the log did not move");
    let used: i64 = sqlx::query_scalar("select count(*) from idempotency_keys")
        .fetch_one(&studio.database.pool)
        .await
        .expect("the keys can be counted");
    assert_eq!(used, 0, "L07: no idempotency key was used up");
    assert_eq!(balance(&studio, key).await, (500, 0));
    studio.stop().await;
}

async fn typed(studio: &TestStudio, key: &str, kinds: &[&str]) -> Reply {
    let authorization = format!("Bearer {key}");
    let mut headers = vec![("authorization", authorization.as_str()), ("idempotency-key", "k")];
    headers.extend(kinds.iter().map(|kind| ("content-type", *kind)));
    wire::call(studio, "POST /v1/generate?dry_run=true", &headers, &picture().to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn b08_anything_but_json_is_415_and_does_nothing() {
    let (studio, key, head) = at_rest().await;
    let refused: [&[&str]; 8] = [
        &[],
        &["text/plain"],
        &["application/x-www-form-urlencoded"],
        &["multipart/form-data; boundary=x"],
        &["application/json; charset=latin1"],
        &["application/jsonp"],
        &["application/json, text/plain"],
        &["application/json", "application/json"],
    ];
    for kinds in refused {
        let reply = typed(&studio, &key, kinds).await;
        assert_eq!((reply.status, reply.error()), (415, "unsupported_media_type".to_owned()), "{kinds:?}");
        // The same without the dry run.
        let authorization = format!("Bearer {key}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(kinds.iter().map(|kind| ("content-type", *kind)));
        let reply = wire::call(&studio, "POST /v1/generate", &headers, &picture().to_string()).await;
        assert_eq!(reply.status, 415, "{kinds:?}");
    }
    for kind in [
        "application/json",
        "Application/JSON",
        "application/json;",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8; x=\"y\"",
        "application/json; version=1",
    ] {
        assert_eq!(typed(&studio, &key, &[kind]).await.status, 200, "{kind}");
    }
    // A compressed body is refused by its name, not as broken JSON.
    let authorization = format!("Bearer {key}");
    for (coding, status) in [("gzip", 415), ("identity, br", 415), ("identity", 200)] {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        let reply = wire::call(&studio, "POST /v1/generate?dry_run=true", &headers, &picture().to_string()).await;
        assert_eq!(reply.status, status, "{coding}");
    }
    nothing_happened(studio, &key, head).await;
}

/// The picture with one field changed.
fn with(field: &str, value: Value) -> String {
    let mut body = picture();
    body[field] = value;
    body.to_string()
}

/// The picture without one field.
fn without(field: &str) -> String {
    let mut body = picture();
    body.as_object_mut().expect("an object").remove(field);
    body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_400_with_its_name() {
    let (studio, key, head) = at_rest().await;
    let mut table: Vec<(String, &str, &str)> = vec![
        (with("colour", json!("red")), "invalid_field", "colour"),
        (with("webhook_url", json!("http://127.0.0.1/")), "invalid_field", "webhook_url"),
        (without("prompt"), "missing_field", "prompt"),
        (without("model"), "missing_field", "model"),
        (with("prompt", Value::Null), "missing_field", "prompt"),
        (with("prompt", json!("")), "invalid_field", "prompt"),
        (with("prompt", json!("  \n ")), "invalid_field", "prompt"),
        (with("prompt", json!("x".repeat(4_001))), "invalid_field", "prompt"),
        (with("prompt", json!("a\0b")), "invalid_field", "prompt"),
        (with("prompt", json!(["a"])), "invalid_field", "prompt"),
        (with("model", json!(5)), "invalid_field", "model"),
        (with("num_images", json!(0)), "invalid_field", "num_images"),
        (with("num_images", json!(5)), "invalid_field", "num_images"),
        (with("num_images", json!(true)), "invalid_field", "num_images"),
        (with("seed", json!(4_294_967_296_u64)), "invalid_field", "seed"),
        (with("seed", json!(1e20)), "invalid_field", "seed"),
        (with("seed", json!(-1)), "invalid_field", "seed"),
        (with("max_credits", json!(-1)), "invalid_field", "max_credits"),
        (with("max_credits", json!("500")), "invalid_field", "max_credits"),
        (with("publish", json!("no")), "invalid_field", "publish"),
        (with("publish", json!(0)), "invalid_field", "publish"),
    ];
    for side in ["width", "height"] {
        for wrong in [
            json!(63),
            json!(2_049),
            json!(0),
            json!(-1),
            json!(1.5),
            json!("1024"),
            json!(4_294_967_360_u64),
            json!([64]),
        ] {
            table.push((with(side, wrong), "invalid_field", side));
        }
    }
    for (body, error, field) in &table {
        let reply = wire::with_key(&studio, "POST /v1/generate", &key, body).await;
        let said = reply.json();
        assert_eq!((reply.status, &said["error"], &said["field"]), (400, &json!(error), &json!(field)), "{body:.200}");
        assert!(said["message"].as_str().is_some_and(|message| message.contains(field)), "{said}");
    }
    nothing_happened(studio, &key, head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_object_is_400_and_what_is_too_large_is_413() {
    let (studio, key, head) = at_rest().await;
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "{",
        "nope",
        "{\"prompt\":\"x\",}",
        "[]",
        "[{}]",
        "null",
        "\"x\"",
        "1",
        "{}{}",
        "{\"prompt\":\"\\ud800\"}",
        &deep,
    ] {
        let reply = wire::with_key(&studio, "POST /v1/generate", &key, body).await;
        assert_eq!((reply.status, reply.error()), (400, "invalid_json".to_owned()), "{body:.40}");
    }
    let large = format!("{}{}", " ".repeat(64 * 1024), picture());
    let reply = wire::with_key(&studio, "POST /v1/generate", &key, &large).await;
    assert_eq!((reply.status, reply.error()), (413, "payload_too_large".to_owned()));
    // Chunked, so that no length announces it.
    let authorization = format!("Bearer {key}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("transfer-encoding", "chunked"),
    ];
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunked = format!("{}{}0\r\n\r\n", chunk(&large[..40_000]), chunk(&large[40_000..]));
    let reply = wire::send(&studio, "POST /v1/generate", &headers, chunked.as_bytes()).await;
    assert_eq!((reply.status, reply.error()), (413, "payload_too_large".to_owned()), "chunked");
    // Exactly at the bound it is read, chunked too.
    let fits = format!("{}{}", " ".repeat(64 * 1024 - picture().to_string().len()), picture());
    let chunked = format!("{}0\r\n\r\n", chunk(&fits));
    let reply = wire::send(&studio, "POST /v1/generate?dry_run=true", &headers, chunked.as_bytes()).await;
    assert_eq!((reply.status, &reply.json()["credits"]), (200, &json!(100)));
    nothing_happened(studio, &key, head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_price_and_model_and_the_dry_run_take_nothing() {
    let (studio, key, head) = at_rest().await;
    let run = async |line: &str, body: String| wire::with_key(&studio, line, &key, &body).await;
    let reply = run("POST /v1/generate", with("model", json!("dall-e-2"))).await;
    assert_eq!((reply.status, reply.error()), (422, "model_unavailable".to_owned()));
    let reply = run("POST /v1/generate", with("max_credits", json!(99))).await;
    assert_eq!((reply.status, reply.error()), (402, "max_credits_exceeded".to_owned()));
    let reply = run("POST /v1/generate", with("publish", json!(false))).await;
    assert_eq!((reply.status, reply.error()), (403, "plan_required".to_owned()), "A24");
    let reply = run("POST /v1/generations", picture().to_string()).await;
    let said = reply.json();
    assert_eq!(
        (reply.status, &said["error"], &said["field"]),
        (400, &json!("missing_field"), &json!("Idempotency-Key")),
        "C13"
    );
    // Every field at its bound, priced and nothing written.
    let bounds = [
        (json!({ "width": 64, "height": 2_048, "num_images": 4, "seed": 4_294_967_295_u64 }), 400),
        (json!({ "prompt": "\u{1F30A}".repeat(4_000), "width": 2_048, "height": 64, "seed": 0, "publish": true }), 100),
        (json!({ "max_credits": 100 }), 100),
        (
            json!({ "width": null, "height": null, "num_images": null, "seed": null, "max_credits": null, "publish": null }),
            100,
        ),
        (json!({ "model": "flux-2-pro", "num_images": 2 }), 500),
    ];
    for (fields, credits) in bounds {
        let mut body = picture();
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let reply = run("POST /v1/generate?dry_run=true", body.to_string()).await;
        assert_eq!(reply.status, 200, "{fields:.100}: {reply:?}");
        assert_eq!(reply.json(), json!({ "success": true, "dry_run": true, "credits": credits }));
    }
    nothing_happened(studio, &key, head).await;
}
