//! Errors have one shape everywhere, and every answer has an id.

use super::wire::{self, Reply};
use crate::harness::TestStudio;

fn one_shape(reply: &Reply, status: u16, error: &str, what: &str) {
    let body = reply.json();
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["error", "message", "success"], "{what}");
    assert_eq!((reply.status, reply.error()), (status, error.to_owned()), "{what}");
    assert_eq!((&body["success"], body["message"].is_string()), (&serde_json::json!(false), true), "{what}");
    assert_eq!(reply.headers["content-type"], "application/json", "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c22_no_route_and_no_method_answer_in_the_one_shape() {
    let studio = TestStudio::start().await;
    for line in
        ["GET /v1", "GET /v1/nope", "POST /nope", "GET /v1/generations/a/b/c", "GET //v1/models", "GET /V1/models"]
    {
        one_shape(&wire::call(&studio, line, &[], "").await, 404, "not_found", line);
    }
    for line in
        ["GET /v1/generate", "DELETE /v1/generate", "PUT /v1/generations", "POST /v1/models", "DELETE /v1/credits"]
    {
        one_shape(&wire::call(&studio, line, &[], "").await, 405, "method_not_allowed", line);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c22_a_query_or_path_that_cannot_be_read_answers_in_the_one_shape() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let body = super::picture().to_string();
    for (line, status) in [
        ("POST /v1/generate?dry_run=perhaps", 400),
        ("GET /v1/generations?limit=0", 400),
        ("GET /v1/generations?limit=101", 400),
        ("GET /v1/generations?limit=many", 400),
        ("GET /v1/generations?cursor=nonsense", 400),
        ("GET /v1/generations/nonsense", 404),
        ("GET /v1/generations/%ff", 404),
        ("POST /v1/generations/%ff/cancel", 404),
        ("DELETE /v1/generations/%ff", 404),
    ] {
        let reply = wire::with_key(&studio, line, &key, &body).await;
        assert_eq!(reply.status, status, "{line}: {reply:?}");
        assert_eq!(reply.headers["content-type"], "application/json", "{line}");
        assert_eq!(reply.json()["success"], serde_json::json!(false), "{line}");
    }
    for line in
        ["GET /media/a/b/1/0.png?expires=soon&signature=x", "GET /media/%ff?expires=1&signature=x", "GET /media/x"]
    {
        let reply = wire::call(&studio, line, &[], "").await;
        assert_eq!(reply.headers["content-type"], "application/json", "{line}");
        assert_eq!(reply.error(), "invalid_link", "{line}");
    }
    assert_eq!(studio.events_named("HoldPlaced").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_a_harmful_one_is_replaced() {
    let studio = TestStudio::start().await;
    let id_of = async |presented: Option<&str>| {
        let headers: Vec<_> = presented.map(|id| ("x-request-id", id)).into_iter().collect();
        wire::call(&studio, "GET /v1/models", &headers, "").await.headers["x-request-id"].clone()
    };
    let longest = "r".repeat(64);
    for kept in ["abc-123", "a", "A.b_c:d-9", &longest] {
        assert_eq!(id_of(Some(kept)).await, kept);
    }
    let too_long = "r".repeat(65);
    for harmful in ["", "two words", "<script>", "a\"b", "a;b", "a=b", "r\u{e9}sum\u{e9}", "a/../b", &too_long] {
        let made = id_of(Some(harmful)).await;
        assert!(made != harmful && made.parse::<uuid::Uuid>().is_ok(), "{harmful} became {made}");
    }
    let (one, two) = (id_of(None).await, id_of(None).await);
    assert!(one != two && one.parse::<uuid::Uuid>().is_ok() && two.parse::<uuid::Uuid>().is_ok());
    studio.stop().await;
}
