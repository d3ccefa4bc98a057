//! What reaches us by HTTP: methods, media types, bodies (sec.R1, sec.R3).

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::stream;
use serde_json::json;

use super::{GRAPHQL, JSON, Kit, Limits, post};

const BUMP: &str = r#"{"query":"mutation { bump { name } }"}"#;

fn with_type(content_type: Option<&str>) -> Request<Body> {
    let request = Request::post("/graphql");
    let request = match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    };
    request.body(Body::from(BUMP)).expect("a request")
}

#[tokio::test]
async fn r1_other_content_types_get_415_and_have_no_side_effect() {
    let kit = Kit::new();
    for content_type in [
        None,
        Some(""),
        Some("text/plain"),
        Some("text/plain; charset=utf-8"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/jsonp"),
        Some("application/json; charset=utf-16"),
        Some("text/plain, application/json"),
    ] {
        let answer = kit.send(with_type(content_type), false).await;
        answer.assert_refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn r1_application_json_in_utf8_runs() {
    let kit = Kit::new();
    let kinds = [
        JSON,
        "application/json;",
        "Application/JSON; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; charset=utf-8; foo=bar",
    ];
    for content_type in kinds {
        let answer = kit.send(with_type(Some(content_type)), false).await;
        assert_eq!(answer.body, json!({"data": {"bump": {"name": "bumped"}}}));
    }
    assert_eq!(usize::try_from(kit.ran.count()), Ok(kinds.len()));
}

#[tokio::test]
async fn r1_two_content_types_and_encoded_bodies_get_415() {
    let kit = Kit::new();
    let twice = Request::post("/").header("content-type", JSON).header("content-type", "text/plain");
    let encoded = Request::post("/").header("content-type", JSON).header("content-encoding", "gzip");
    for request in [twice, encoded] {
        let answer = kit.send(request.body(Body::from(BUMP)).expect("a request"), false).await;
        answer.assert_refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn r1_a_body_of_another_type_is_not_even_read() {
    let kit = Kit::new();
    let body = Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> {
        panic!("the body was read")
    }));
    let request = Request::post("/").header("content-type", "text/plain").body(body).expect("a request");
    let answer = kit.send(request, false).await;
    answer.assert_refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn r1_every_method_but_post_and_get_gets_405() {
    let kit = Kit::new();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"] {
        let request = Request::builder().method(method).uri("/graphql?query={greeting}");
        let request = request.header("content-type", JSON).header("accept", "text/html");
        let answer = kit.send(request.body(Body::from(BUMP)).expect("a request"), false).await;
        answer.assert_refused(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.headers["allow"], "GET, HEAD, POST");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn the_answer_has_the_media_type_the_client_prefers() {
    let kit = Kit::new();
    for (accept, expected) in [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("application/json;q=0.1, */*", JSON),
        (GRAPHQL, GRAPHQL),
        ("application/graphql-response+json; charset=utf-8, application/json;q=0.9", GRAPHQL),
        ("application/json, Application/GraphQL-Response+JSON", GRAPHQL),
        ("application/graphql-response+json;q=0.5, application/json", JSON),
        ("application/graphql-response+json;q=0, */*", JSON),
        ("application/json;q=0, */*", GRAPHQL),
    ] {
        let answer = kit.send(post(accept, r#"{"query":"{ greeting }"}"#), false).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        assert_eq!(answer.headers["content-type"], format!("{expected}; charset=utf-8"), "{accept}");
        assert_eq!(answer.body, json!({"data": {"greeting": "hello"}}));
    }
}

#[tokio::test]
async fn a_client_that_accepts_neither_media_type_gets_406_and_has_no_side_effect() {
    let kit = Kit::new();
    for accept in [
        "text/html",
        "application/xml, text/*",
        "application/json;q=0",
        "application/json;q=0.0, application/graphql-response+json;q=0.000",
        "application/json;q=2",
        "application/json;q=1.5",
        "application/json;q=x",
        "application/json; charset=utf-16",
        "*/*;q=0",
    ] {
        let answer = kit.send(post(accept, BUMP), false).await;
        answer.assert_refused(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn answers_are_not_stored_nor_sniffed() {
    let kit = Kit::new();
    for body in [r#"{"query":"{ greeting }"}"#, "?"] {
        let answer = kit.send(post("*/*", body), false).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["vary"], "accept, authorization, cookie");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn headers_of_resolvers_reach_the_client() {
    let answer = Kit::new().query("{ cookie }").await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[tokio::test]
async fn malformed_bodies_get_400_in_both_media_types() {
    let kit = Kit::new();
    for (body, message) in [
        ("", "the body is not JSON"),
        ("{", "the body is not JSON"),
        (r#"{"query":"{ greeting }"} x"#, "the body is not JSON"),
        ("\"{ greeting }\"", "the body must be one JSON object, each member once"),
        ("null", "the body must be one JSON object, each member once"),
        (
            r#"{"query":"{ greeting }","query":"mutation { bump { name } }"}"#,
            "the body must be one JSON object, each member once",
        ),
        ("{}", "query must be a string"),
        (r#"{"query":null}"#, "query must be a string"),
        (r#"{"query":["mutation { bump { name } }"]}"#, "query must be a string"),
        (r#"{"query":"{ greeting }","operationName":7}"#, "operationName must be a string or null"),
        (r#"{"query":"{ greeting }","variables":[]}"#, "variables must be an object or null"),
        (r#"{"query":"{ greeting }","variables":"{}"}"#, "variables must be an object or null"),
        (r#"{"query":"{ greeting }","extensions":[]}"#, "extensions must be an object or null"),
        (r#"{"query":"{ greeting }","id":"1"}"#, "unknown member \"id\""),
        (
            r#"{"query":"{ greeting }","variables":{"a":1e999}}"#,
            "variables nest too deep or hold a number out of range",
        ),
    ] {
        for accept in [JSON, GRAPHQL] {
            let answer = kit.send(post(accept, body), false).await;
            answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
            assert_eq!(answer.message(), message, "{body}");
        }
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn null_members_count_as_absent() {
    let body = json!({"query": "{ greeting }", "operationName": null, "variables": null, "extensions": null});
    assert_eq!(Kit::new().post(body).await.body, json!({"data": {"greeting": "hello"}}));
    let body = json!({"query": "{ greeting }", "variables": {}, "extensions": {"persistedQuery": {"version": 1}}});
    assert_eq!(Kit::new().post(body).await.body, json!({"data": {"greeting": "hello"}}));
}

/// B3: Apollo's link sends the hash alone first, and the document once it is told that hashes are not kept.
#[tokio::test]
async fn b3_the_hash_of_a_persisted_query_alone_is_refused_as_apollo_expects() {
    let kit = Kit::new();
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": "ab".repeat(32)}});
    for body in [json!({ "extensions": extensions }), json!({"query": null, "extensions": extensions, "variables": {}})]
    {
        let answer = kit.send(post(JSON, body.to_string()), false).await;
        answer.assert_refused(StatusCode::OK, "PERSISTED_QUERY_NOT_SUPPORTED");
        assert_eq!(answer.message(), "PersistedQueryNotSupported");
        kit.post(body).await.assert_refused(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_SUPPORTED");
    }
    let both = json!({"query": "{ greeting }", "extensions": extensions});
    assert_eq!(kit.post(both).await.body, json!({"data": {"greeting": "hello"}}));
    let other = json!({"extensions": {"other": 1}});
    kit.post(other).await.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
}

#[tokio::test]
async fn r3_batches_are_refused() {
    let kit = Kit::new();
    for body in ["[]".to_owned(), format!("[{BUMP}]"), format!(" \r\n\t[{BUMP},{BUMP}]")] {
        let answer = kit.send(post(GRAPHQL, body), false).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
        assert_eq!(answer.message(), "batching is not supported");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn r3_json_that_nests_beyond_bounds_is_refused() {
    let kit = Kit::new();
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    for body in [
        format!(r#"{{"query":"{{ greeting }}","variables":{{"a":{}}}}}"#, &deep[25_000..75_000]),
        format!(r#"{{"query":"{{ greeting }}","extensions":{deep}}}"#),
        format!(r#"{{"query":"{{ greeting }}","other":{deep}}}"#),
    ] {
        let answer = kit.send(post(GRAPHQL, body), false).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"), "{}", answer.body);
    }
}

/// A body in chunks, whose length nobody announces.
fn chunked(body: &str) -> Body {
    let chunks: Vec<Result<Bytes, Infallible>> =
        body.as_bytes().chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    Body::from_stream(stream::iter(chunks))
}

#[tokio::test]
async fn r3_the_body_limit_holds_with_and_without_a_length() {
    let at = Kit::with(Limits { body_bytes: BUMP.len(), ..Limits::default() });
    let under = Kit::with(Limits { body_bytes: BUMP.len() - 1, ..Limits::default() });
    for body in [chunked as fn(&str) -> Body, |body| Body::from(body.to_owned())] {
        assert_eq!(at.send(post(GRAPHQL, body(BUMP)), false).await.status, StatusCode::OK);
        let answer = under.send(post(GRAPHQL, body(BUMP)), false).await;
        answer.assert_refused(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE");
    }
    assert_eq!((at.ran.count(), under.ran.count()), (2, 0));
}

#[tokio::test]
async fn r3_a_body_without_end_is_cut_off() {
    let kit = Kit::new();
    let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024]))));
    kit.send(post(GRAPHQL, endless), false).await.assert_refused(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn r3_an_announced_length_over_the_limit_is_refused_unread() {
    let kit = Kit::new();
    let body = Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> {
        panic!("the body was read")
    }));
    let request = Request::post("/").header("content-type", JSON).header("content-length", "262145");
    let answer = kit.send(request.body(body).expect("a request"), false).await;
    answer.assert_refused(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_body_that_breaks_off_gets_400() {
    let broken = stream::iter([Ok(Bytes::from_static(b"{\"query\"")), Err(std::io::Error::other("gone"))]);
    let answer = Kit::new().send(post(GRAPHQL, Body::from_stream(broken)), false).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
}
