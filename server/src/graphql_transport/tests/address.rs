//! Queries by GET: what an address may hold, and that nothing but a query comes by one (B3, sec.R1).

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::{Answer, GRAPHQL, JSON, Kit, Limits};

/// The query component of an address with these parameters.
fn component(parameters: &[(&str, &str)]) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

async fn by(kit: &Kit, method: &str, component: &str, accept: &str) -> Answer {
    let request = Request::builder().method(method).uri(format!("/graphql?{component}")).header("accept", accept);
    kit.send(request.body(Body::empty()).expect("a request"), false).await
}

async fn get(kit: &Kit, parameters: &[(&str, &str)]) -> Answer {
    by(kit, "GET", &component(parameters), GRAPHQL).await
}

const ECHO: &str = "query A($number: Int!) { node { echo(number: $number) } } query B { greeting }";

#[tokio::test]
async fn b3_a_query_runs_with_its_variables_name_and_extensions() {
    let kit = Kit::new();
    for parameters in [
        vec![("query", "{ greeting }")],
        vec![("query", ECHO), ("operationName", "B")],
        vec![("query", "{ greeting }"), ("operationName", ""), ("variables", ""), ("extensions", "")],
        vec![("query", "{ greeting }"), ("variables", "null"), ("extensions", "null")],
        vec![("query", "{ greeting }"), ("extensions", r#"{"a":1}"#), ("utm_source", "x"), ("_", "1"), ("_", "2")],
    ] {
        let answer = get(&kit, &parameters).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &json!({"data": {"greeting": "hello"}})));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["vary"], "accept, authorization, cookie");
    }
    let parameters = [("query", ECHO), ("operationName", "A"), ("variables", r#"{"number":7,"more":8}"#)];
    assert_eq!(get(&kit, &parameters).await.body, json!({"data": {"node": {"echo": 7}}}));
    // As forms write it: blanks as `+`, and signs as they are.
    let answer = by(&kit, "GET", "query=%7B+greeting+%7D", "*/*").await;
    assert_eq!(answer.body, json!({"data": {"greeting": "hello"}}));
    assert_eq!(answer.headers["content-type"], format!("{JSON}; charset=utf-8"));
    let answer = by(&kit, "HEAD", &component(&[("query", "{ greeting }")]), GRAPHQL).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn b3_nothing_but_a_query_runs() {
    let kit = Kit::new();
    let both = "query A { greeting } mutation B { bump { name } }";
    for method in ["GET", "HEAD"] {
        for parameters in [
            vec![("query", "mutation { bump { name } }")],
            vec![("query", "mutation { __typename }")],
            vec![("query", both), ("operationName", "B")],
        ] {
            let answer = by(&kit, method, &component(&parameters), GRAPHQL).await;
            answer.assert_refused(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.headers["allow"], "POST");
        }
        let answer = by(&kit, method, &component(&[("query", "subscription { ticks }")]), GRAPHQL).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
    }
    assert_eq!(kit.ran.count(), 0);
    let answer = get(&kit, &[("query", both), ("operationName", "A")]).await;
    assert_eq!(answer.body, json!({"data": {"greeting": "hello"}}));
    // A body is none of a GET's.
    let request = Request::get("/graphql?query=%7Bgreeting%7D").header("content-type", "text/plain");
    let body = Body::from(r#"{"query":"mutation { bump { name } }"}"#);
    assert_eq!(kit.send(request.body(body).expect("a request"), false).await.status, StatusCode::OK);
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn b3_malformed_parameters_get_400() {
    let kit = Kit::new();
    let query = ("query", "{ greeting }");
    for (parameters, message) in [
        (vec![], "query must be a string"),
        (vec![("query", "")], "query must be a string"),
        (vec![query, ("variables", "{")], "variables must be JSON"),
        (vec![query, ("variables", "[]")], "variables must be an object or null"),
        (vec![query, ("variables", "\"{}\"")], "variables must be an object or null"),
        (vec![query, ("extensions", "a")], "extensions must be JSON"),
        (vec![query, ("extensions", "1")], "extensions must be an object or null"),
        (vec![query, query], "the parameter \"query\" is there more than once"),
        (vec![query, ("variables", "{}"), ("variables", "{}")], "the parameter \"variables\" is there more than once"),
    ] {
        let answer = get(&kit, &parameters).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
        assert_eq!(answer.message(), message);
    }
    for component in ["", "query=%FF%FE", "query=%7B+greet%"] {
        let answer = by(&kit, "GET", component, GRAPHQL).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{component}");
    }
    let answer = by(&kit, "GET", &component(&[query]), "text/html").await;
    answer.assert_refused(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE");
}

#[tokio::test]
async fn b3_an_address_and_its_variables_are_bounded() {
    let at = component(&[("query", "{ greeting }")]);
    let kit = Kit::with(Limits { url_bytes: at.len(), ..Limits::default() });
    assert_eq!(by(&kit, "GET", &at, GRAPHQL).await.status, StatusCode::OK);
    let answer = by(&kit, "GET", &format!("{at}&"), GRAPHQL).await;
    answer.assert_refused(StatusCode::URI_TOO_LONG, "URI_TOO_LONG");
    let kit = Kit::with(Limits { variables_bytes: 8, ..Limits::default() });
    let answer = get(&kit, &[("query", "{ greeting }"), ("variables", r#"{"a":123}"#)]).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn b3_the_hash_of_a_persisted_query_alone_is_refused_as_apollo_expects() {
    let kit = Kit::new();
    let extensions = r#"{"persistedQuery":{"version":1,"sha256Hash":"ab"}}"#;
    let answer = get(&kit, &[("operationName", "A"), ("variables", "{}"), ("extensions", extensions)]).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(answer.message(), "PersistedQueryNotSupported");
}
