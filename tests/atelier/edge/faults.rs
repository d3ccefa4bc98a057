//! A database that does not answer: HTTP 503 over GraphQL as over REST, never taken for a credential that does not count.

use serde_json::{Value, json};

use super::{ME, by_cookie, call, code, session_cookie};
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};
use crate::harness::studio::Answer;

const NO_SESSIONS: &str = "alter table credentials.sessions rename to sessions_away";
const SESSIONS: &str = "alter table credentials.sessions_away rename to sessions";
const NO_READ_MODELS: &str = "revoke usage on schema read_models, read_models_a, read_models_b from atelier_app";
const READ_MODELS: &str = "grant usage on schema read_models, read_models_a, read_models_b to atelier_app";

const EXPLORE: &str = "explore { edges { cursor } }";

fn retry_after(answer: &Answer) -> Option<&str> {
    answer.headers.get("retry-after").and_then(|value| value.to_str().ok())
}

/// That an answer of either media type is a 503 of GraphQL's own shape.
async fn unavailable(studio: &TestStudio, token: &str, query: &str, data: Option<&Value>) {
    for accept in ["application/json", "application/graphql-response+json"] {
        let answer = by_cookie(studio, token, &[("accept", accept)], query).await;
        let said = answer.json();
        assert_eq!((answer.status.as_u16(), code(&said)), (503, Some("UNAVAILABLE")), "{query}: {said}");
        assert_eq!((retry_after(&answer), said.get("data")), (Some("1"), data), "{query}: {said}");
        assert!(said["errors"][0]["extensions"]["traceId"].is_string(), "{said}");
        assert!(answer.headers["content-type"].to_str().expect("ASCII").starts_with(accept));
        assert_eq!(session_cookie(&answer.headers), None, "a fault ends no session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_session_that_cannot_be_looked_up_is_a_503_and_no_end_of_it() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let mut socket = Socket::signed_in(&studio.url, &person.token).await;
    let mut waiting = Socket::plain(&studio.url).await;
    studio.as_superuser(NO_SESSIONS).await;
    for query in [ME, "{ models { id } }", "mutation { signOut { userErrors { code } } }"] {
        unavailable(&studio, &person.token, query, None).await;
    }
    // A caller without a credential needs no such look.
    assert!(studio.graphql(None, "{ models { id } }", json!({})).await["models"].is_array());
    let cookie = format!("atelier-session-dev={}", person.token);
    let export = call(&studio, "GET", "/exports/x", &[("cookie", &cookie)], "").await;
    assert_eq!((export.status.as_u16(), retry_after(&export)), (503, Some("1")));
    // Sockets are told to come again; 4403 would say that the session is over.
    socket.subscribe("1", "subscription { balanceChanged { available } }", json!({})).await;
    assert_eq!(socket.hear().await, Heard::Closed(1013));
    assert_eq!(waiting.enter(&person.token).await, Heard::Closed(1013));
    studio.as_superuser(SESSIONS).await;
    assert!(by_cookie(&studio, &person.token, &[], ME).await.json()["data"]["me"]["id"].is_string());
    // The same of keys, over REST.
    studio.as_superuser("alter table credentials.api_keys rename to api_keys_away").await;
    let answer = studio.get("/v1/models", Some(&key)).await;
    assert_eq!((answer.status.as_u16(), retry_after(&answer)), (503, Some("1")));
    studio.as_superuser("alter table credentials.api_keys_away rename to api_keys").await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_database_fault_is_a_503_when_nothing_else_could_be_answered() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    studio.as_superuser(NO_READ_MODELS).await;
    unavailable(&studio, &person.token, &format!("{{ {EXPLORE} }}"), Some(&json!({ "explore": null }))).await;
    let two = format!("{{ a: {EXPLORE} b: {EXPLORE} }}");
    unavailable(&studio, &person.token, &two, Some(&json!({ "a": null, "b": null }))).await;
    // What can be answered is answered.
    let partial = by_cookie(&studio, &person.token, &[], &format!("{{ {EXPLORE} models {{ id }} }}")).await;
    let said = partial.json();
    assert_eq!((partial.status.as_u16(), retry_after(&partial), code(&said)), (200, None, Some("UNAVAILABLE")));
    assert!(said["data"]["models"].is_array() && said["data"]["explore"].is_null(), "{said}");
    let partial = by_cookie(&studio, &person.token, &[], "{ me { id profile { email } } }").await;
    let said = partial.json();
    assert_eq!((partial.status.as_u16(), code(&said)), (200, Some("UNAVAILABLE")), "{said}");
    assert!(said["data"]["me"]["id"].is_string() && said["data"]["me"]["profile"].is_null(), "{said}");
    studio.as_superuser(READ_MODELS).await;
    // A rule's refusal or a malformed argument is none, with or without data.
    for query in ["{ explore(after: \"x\") { edges { cursor } } }", "{ audit { position } }"] {
        let answer = by_cookie(&studio, &person.token, &[], query).await;
        assert_eq!((answer.status.as_u16(), retry_after(&answer)), (200, None), "{query}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_command_that_the_log_does_not_take_takes_no_cookie_back() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let sessions = [studio.opened(&person.email).await, studio.opened(&person.email).await];
    studio.refuse_events_of("Account").await;
    let queries =
        ["mutation { signOut { userErrors { code } } }", "mutation { revokeAllSessions { userErrors { code } } }"];
    for (token, query) in sessions.iter().zip(queries) {
        let answer = by_cookie(&studio, token, &[], query).await;
        let said = answer.json();
        assert_eq!(said["data"], json!(null), "{query}: {said}");
        assert_eq!(session_cookie(&answer.headers), None, "{query}: {said}");
    }
    studio.accept_events().await;
    studio.stop().await;
}
