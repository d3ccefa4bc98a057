//! Hostile input everywhere a client can put any (issue 10, A1, A4, B7): each field of each mutation, each argument of each query and
//! subscription, each field and parameter of REST, each route. Fields and arguments come from the schema, from the OpenAPI document and from
//! the router: one without a row here fails.

mod arguments;
mod hostile;
mod mutations;
mod old_log;
mod rest;
mod round_trip;
mod routes;
mod schema;
mod together;

use serde_json::{Value, json};

use crate::authorization::Caller;
use crate::authorization::cast::Cast;

/// The codes of top-level errors that say that the client has done something wrong.
const CLIENTS: [&str; 11] = [
    "BAD_CURSOR",
    "BAD_INPUT",
    "BAD_REQUEST",
    "FORBIDDEN",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "LIMIT_EXCEEDED",
    "NOT_FOUND",
    "PAYLOAD_TOO_LARGE",
    "POSITION_UNKNOWN",
    "UNAUTHENTICATED",
];

/// The codes of an answer's top-level errors that are not the client's.
fn faults(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    let codes = errors.map(|error| error["extensions"]["code"].as_str().unwrap_or("none"));
    codes.filter(|code| !CLIENTS.contains(code)).collect()
}

/// Sends a GraphQL request whose body is written out; status and answer.
async fn ask(cast: &Cast, caller: Caller, body: String) -> (u16, Value) {
    let url = format!("{}/graphql", cast.studio.url);
    let mut request = cast.studio.client().post(url).header("content-type", "application/json").body(body);
    if let Some(token) = cast.token(caller) {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.expect("the node answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

/// That everything the owner sees still moves: a change is seen at its own position, in every read model.
async fn everything_moves(cast: &Cast, after: &str, number: usize) {
    // A session of its own: what was tried may have ended every other.
    let session = cast.fresh_token(Caller::Owner).await;
    let token = session.as_deref();
    let change =
        "mutation($name: String!) { updateProfile(input: {displayName: $name}) { position userErrors { code } } }";
    let name = format!("Ada {number}");
    let changed = cast.studio.mutate(token, change, json!({ "name": name })).await;
    cast.studio.drain().await;
    let see = "query($position: String!) { me(minPosition: $position) { profile { displayName bio } \
        apiKeys(first: 100) { edges { node { label expiresAt dailyCap totalCap } } } creations { edges { node { prompt } } } \
        transactions { edges { node { id } } } history(first: 100) { edges { node { id } } } notices { edges { node { id } } } \
        sessions { expiresAt } dataExports { expiresAt } preferences { language } rank { count } credits { available } } }";
    let seen = cast.studio.graphql_raw(token, see, json!({ "position": changed["position"] })).await;
    assert!(seen.get("errors").is_none(), "after {after}: {seen}");
    assert_eq!(seen["data"]["me"]["profile"]["displayName"], json!(name), "after {after}");
}
