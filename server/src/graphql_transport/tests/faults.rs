//! Errors of fields, and faults of ours: a code, a trace id, and nothing of the cause (sec.R6).

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use serde_json::json;

use super::{GRAPHQL, JSON, Kit, TRACE, post};

/// What was logged while it lived, on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no holder panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no holder panics")).into_owned()
    }
}

#[tokio::test]
async fn a_resolvers_own_code_stays() {
    let answer = Kit::new().query("{ greeting coded }").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["data"], json!({"greeting": "hello", "coded": null}));
    let error = &answer.body["errors"][0];
    assert_eq!(error["message"], "not here");
    assert_eq!(error["path"], json!(["coded"]));
    assert_eq!(error["extensions"], json!({"code": "NOT_FOUND", "hint": 7, "traceId": TRACE}));
}

#[tokio::test]
async fn r6_an_error_without_a_code_is_internal_and_its_cause_is_only_logged() {
    let (log, _guard) = Log::capture();
    let answer = Kit::new().query("{ greeting secretAlias: uncoded }").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["data"], json!({"greeting": "hello", "secretAlias": null}));
    let error = &answer.body["errors"][0];
    assert_eq!(error["message"], "internal error");
    assert_eq!(error["extensions"], json!({"code": "INTERNAL", "traceId": TRACE}));
    let log = log.text();
    assert!(log.contains("connection to 10.0.0.7 refused") && log.contains(TRACE), "{log}");
    assert!(!log.contains("secretAlias"), "{log}");
}

#[tokio::test]
async fn r6_every_internal_error_says_the_same() {
    let kit = Kit::new();
    for query in ["{ codedInternal }", "{ parses }", "{ uncoded }"] {
        let answer = kit.query(query).await;
        let error = &answer.body["errors"][0];
        assert_eq!(error["message"], "internal error", "{query}");
        assert_eq!(error["extensions"], json!({"code": "INTERNAL", "traceId": TRACE}), "{query}");
    }
}

#[tokio::test]
async fn a_field_that_must_not_be_null_takes_the_data_along_and_the_status_stays_200() {
    let kit = Kit::new();
    for accept in [JSON, GRAPHQL] {
        let answer = kit.send(post(accept, r#"{"query":"{ greeting required }"}"#), false).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::OK, "INTERNAL"));
        assert!(answer.body.as_object().is_some_and(|body| body.get("data") == Some(&json!(null))), "{}", answer.body);
    }
}

#[tokio::test]
async fn what_passes_by_itself_is_503_when_no_root_field_has_data() {
    let kit = Kit::new();
    for (query, status) in [
        ("{ passing }", 503),
        ("{ a: passing b: passing }", 503),
        ("{ passing coded }", 503),
        ("{ passing greeting }", 200),
        ("{ passing __typename }", 200),
        // Unavailable for longer: a retry would not help, and the caller's own page is no fault of the service.
        ("{ parked }", 200),
        ("{ coded }", 200),
        ("{ uncoded }", 200),
    ] {
        for accept in [JSON, GRAPHQL] {
            let answer = kit.send(post(accept, json!({ "query": query }).to_string()), false).await;
            assert_eq!(answer.status, status, "{query}: {}", answer.body);
            let retry = answer.headers.get("retry-after").map(|value| value.to_str().expect("ASCII"));
            assert_eq!(retry, (status == 503).then_some("7"), "{query}");
            assert!(answer.body.get("data").is_some(), "{query}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn an_argument_that_only_its_resolver_understands_is_bad_input_and_is_not_repeated() {
    let (log, _guard) = Log::capture();
    let answer = Kit::new().query("{ node { name local(moment: \"ada@example.com\") } }").await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, "BAD_INPUT"), "{}", answer.body);
    assert_eq!(answer.message(), "an argument has a value its type does not allow");
    assert!(!answer.body.to_string().contains("ada@") && !log.text().contains("ada@"));
}

#[tokio::test]
async fn r6_a_panic_is_a_generic_500() {
    let (log, _guard) = Log::capture();
    let kit = Kit::new();
    for accept in [JSON, GRAPHQL] {
        let answer = kit.send(post(accept, r#"{"query":"{ greeting panics }"}"#), false).await;
        answer.assert_refused(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL");
        assert_eq!(answer.message(), "internal error");
        assert_eq!(answer.headers["content-type"], format!("{accept}; charset=utf-8"));
        assert!(!answer.body.to_string().contains("secret"));
    }
    let log = log.text();
    assert!(log.contains("a request panicked") && log.contains(TRACE) && !log.contains("secret"), "{log}");
    assert_eq!(
        kit.query("{ greeting }").await.body,
        json!({"data": {"greeting": "hello"}}),
        "the next request is served"
    );
}
