//! Bodies: JSON by any of its names is taken wherever JSON is, and an encoded body nowhere.

use serde_json::json;

use super::call;
use crate::harness::TestStudio;

#[tokio::test(flavor = "multi_thread")]
async fn b6_an_encoded_body_is_415_wherever_a_body_is_taken() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let authorization = format!("Bearer {key}");
    let table = [
        ("POST", "/graphql", "application/json"),
        ("POST", "/v1/generate", "application/json"),
        ("POST", "/v1/generations", "application/json"),
        ("POST", "/v1/generations/gen_00000000000040008000000000000000/cancel", "application/json"),
        ("PUT", "/uploads/avatar/x", "image/png"),
        ("POST", "/verify-email", "application/x-www-form-urlencoded"),
        ("POST", "/reset-password", "application/x-www-form-urlencoded"),
        ("POST", "/keep-two-factor", "application/x-www-form-urlencoded"),
        ("POST", "/unsubscribe?token=x", "application/x-www-form-urlencoded"),
        ("POST", "/auth/google/sign-up", "application/x-www-form-urlencoded"),
        ("POST", "/auth/complete", "application/x-www-form-urlencoded"),
    ];
    for (method, path, kind) in table {
        for (coding, refused) in [("gzip", true), ("identity, br", true), ("Identity", false)] {
            let bearer = if path.starts_with("/v1") { authorization.as_str() } else { "" };
            let headers = [("content-type", kind), ("content-encoding", coding), ("authorization", bearer)];
            let answer = call(&studio, method, path, &headers, "x").await;
            assert_eq!(answer.status.as_u16() == 415, refused, "{path}, {coding}: {}", answer.text);
        }
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_json_is_taken_by_any_of_its_names_over_graphql_and_rest() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let authorization = format!("Bearer {key}");
    let query = json!({ "query": "{ models { id } }" }).to_string();
    let picture = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 }).to_string();
    for (kind, status) in [
        ("application/json;", 200),
        ("APPLICATION/JSON ; CHARSET=UTF-8", 200),
        ("application/json; charset=utf-8; foo=bar", 200),
        ("application/json; profile=\"a;b=c\"", 200),
        ("application/json; charset=utf-16", 415),
        ("application/json, application/json", 415),
        ("text/json", 415),
    ] {
        let headers = [("content-type", kind), ("authorization", authorization.as_str())];
        let asked = call(&studio, "POST", "/graphql", &headers[..1], &query).await;
        let priced = call(&studio, "POST", "/v1/generate?dry_run=true", &headers, &picture).await;
        assert_eq!((asked.status.as_u16(), priced.status.as_u16()), (status, status), "{kind}");
    }
    studio.stop().await;
}

/// A request and the status it is refused with, which needs nothing of its body: method, path, headers.
type Refused<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16);

/// Who is refused before the body is read is still sending it, and reads the refusal all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_needs_no_body_is_read_by_a_client_that_is_still_sending_one() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let authorization = format!("Bearer {key}");
    let json = ("content-type", "application/json");
    let table: [Refused; 9] = [
        ("POST", "/graphql", &[json], 413),
        ("POST", "/graphql", &[("content-type", "text/plain")], 415),
        ("POST", "/graphql", &[json, ("content-encoding", "br")], 415),
        ("DELETE", "/graphql", &[json], 405),
        ("POST", "/v1/generate", &[json], 401),
        ("POST", "/v1/generate", &[json, ("authorization", "Bearer atl_live_wrong")], 401),
        ("POST", "/v1/generate", &[json, ("authorization", authorization.as_str())], 413),
        ("PUT", "/uploads/avatar/x", &[("content-type", "image/png")], 400),
        ("POST", "/nowhere", &[json], 404),
    ];
    for size in [2 << 20, 12 << 20] {
        let body = "x".repeat(size);
        for (method, path, headers, status) in table {
            for _ in 0..5 {
                let answer = call(&studio, method, path, headers, &body).await;
                assert_eq!(answer.status.as_u16(), status, "{method} {path} {headers:?}: {}", answer.text);
            }
        }
    }
    studio.stop().await;
}
