//! The HTTP edge as browsers meet it: other origins, cookies, credentials that do not count, and a database that does not answer.

mod bodies;
mod cookies;
mod cors;
mod credentials;
mod faults;
mod graphiql;

use reqwest::Method;
use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Answer;

/// The session's cookie of a development node.
const COOKIE: &str = "atelier-session-dev";
const ME: &str = "{ me { id } }";

/// One request with these headers.
async fn call(studio: &TestStudio, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let method: Method = method.parse().expect("a method");
    let mut request = studio.client().request(method, format!("{}{path}", studio.url)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.expect("the node answers")).await
}

/// One GraphQL request by the session's cookie.
async fn by_cookie(studio: &TestStudio, token: &str, more: &[(&str, &str)], query: &str) -> Answer {
    let cookie = format!("{COOKIE}={token}");
    let headers = [&[("cookie", cookie.as_str())], more].concat();
    studio.graphql_with(&headers, query, json!({})).await
}

/// The code of the first top-level error, if there is one.
fn code(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}

/// What an answer does with the session's cookie: `None`, `Some("")` for one that is taken back, or the new token.
fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let prefix = format!("{COOKIE}=");
    let mut set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()?.strip_prefix(&prefix));
    let cookie = set.next()?;
    assert_eq!(set.next(), None, "the cookie is set once");
    let (value, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(value.is_empty(), attributes.starts_with("Max-Age=0;"), "{cookie}");
    Some(value.to_owned())
}
