//! Every REST operation of the OpenAPI document, for every kind of key: none, a bad one, one without the scope, a stranger's, one of the
//! other environment, the owner's (sec.A1, B01-B04).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Caller;
use super::cast::{Cast, PRIVATE, forged};
use crate::rest::wire::{self, Reply};

/// The answer of B04, to the byte.
const NO_KEY: &str = r#"{"success":false,"error":"invalid_api_key","message":"The API key provided is not valid."}"#;

/// An operation: the scope it needs, and its body; `{id}` is a job of the owner's.
type Row = (&'static str, &'static str, &'static str);

const PICTURE: &str = r#"{"prompt":"x","model":"z-image-turbo","width":64,"height":64}"#;

const ROWS: &[Row] = &[
    ("GET /v1/models", "models:read", ""),
    ("GET /v1/credits", "account:read", ""),
    ("GET /v1/generations", "generations:read", ""),
    ("GET /v1/generations/{id}", "generations:read", ""),
    ("POST /v1/generations", "generate", PICTURE),
    ("POST /v1/generate", "generate", PICTURE),
    ("POST /v1/generations/{id}/cancel", "generations:write", ""),
    ("DELETE /v1/generations/{id}", "generations:write", ""),
];

/// Operations of the document that take no key, and what stands in its place.
const WITHOUT_KEY: &[(&str, &str)] = &[("PUT /uploads/avatar/{ticket}", "a ticket of one use: avatars.rs")];

const SCOPES: [&str; 5] = ["generate", "generations:read", "generations:write", "models:read", "account:read"];

async fn call(cast: &Cast, (line, _, body): Row, id: &str, key: &str) -> Reply {
    let authorization = format!("Bearer {key}");
    let once = line.replace(['/', '{', '}', ' '], "-");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", once.as_str()),
        ("prefer", "wait=0"),
    ];
    wire::call(&cast.studio, &line.replace("{id}", id), &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_rest_operation_has_a_row() {
    let document: Value = atelier_server::openapi::document();
    let paths = document["paths"].as_object().expect("paths");
    let told: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods.keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let rows = ROWS.iter().map(|row| row.0).chain(WITHOUT_KEY.iter().map(|row| row.0));
    assert_eq!(told, rows.map(str::to_owned).collect(), "sec.A1: each operation says here which scope it needs");
    let scopes: BTreeSet<&str> = ROWS.iter().map(|row| row.1).collect();
    assert_eq!(scopes, SCOPES.into_iter().collect(), "each scope is needed for something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_b04_a_key_does_what_its_scopes_say_to_its_own_accounts_jobs_of_its_environment() {
    let cast = Cast::assemble().await;
    let all_but = |scope: &str| SCOPES.into_iter().filter(|one| *one != scope).collect::<Vec<_>>();
    let test_key = cast.key_of(Caller::Owner, json!({ "label": "test", "environment": "TEST" })).await;
    let auditors = cast.key_of(Caller::Auditor, json!({ "label": "role" })).await;
    let admins = cast.key_of(Caller::Admin, json!({ "label": "role" })).await;
    let mut keys = Vec::new();
    for scope in SCOPES {
        let without = cast.key_of(Caller::Owner, json!({ "label": "without", "scopes": all_but(scope) })).await;
        let with = cast.key_of(Caller::Owner, json!({ "label": "with", "scopes": [scope] })).await;
        keys.push((scope, without, with));
    }
    let session = cast.token(Caller::Owner).expect("a token").to_owned();
    let before = cast.owners_state_at_rest().await;
    for row in ROWS.iter().copied() {
        let (line, scope, _) = row;
        // A session is no key here, as a key is no session there (B01).
        for bad in ["", "nonsense", session.as_str(), &forged(&cast.key)] {
            let reply = call(&cast, row, &cast.private, bad).await;
            assert_eq!((reply.status, reply.body.as_str()), (401, NO_KEY), "{line}");
        }
        let (_, without, _) = keys.iter().find(|(name, ..)| *name == scope).expect("a key for each scope");
        let reply = call(&cast, row, &cast.private, without).await;
        assert_eq!((reply.status, reply.error()), (403, "scope_missing".to_owned()), "{line}");
        if line.contains("{id}") {
            for key in [&cast.others_key, &auditors, &admins, &test_key] {
                for id in [&cast.private, &cast.waiting, &cast.published] {
                    let theirs = call(&cast, row, id, key).await;
                    assert_eq!((theirs.status, theirs.error()), (404, "not_found".to_owned()), "{line}");
                    let unknown = call(&cast, row, &cast.unknown("gen"), key).await;
                    assert_eq!(theirs.timeless(), unknown.timeless(), "{line}");
                }
            }
        }
        for key in [&cast.others_key, &auditors, &admins] {
            let reply = call(&cast, row, &cast.unknown("gen"), key).await;
            assert!(!reply.body.contains(PRIVATE) && !reply.body.contains(&cast.published), "{line}");
        }
    }
    // Her own keys were counted, as they are when they are refused.
    let counted = ["api_key_usage", "api_key_places"];
    assert_eq!(without(&cast.owners_state_at_rest().await, &counted), without(&before, &counted));
    for row in ROWS.iter().copied() {
        let (line, scope, _) = row;
        let (.., with) = keys.iter().find(|(name, ..)| *name == scope).expect("a key for each scope");
        let id = if line.ends_with("cancel") { &cast.waiting } else { &cast.private };
        let reply = call(&cast, row, id, with).await;
        assert!((200..300).contains(&reply.status), "{line} by its owner: {} {}", reply.status, reply.body);
    }
    cast.studio.stop().await;
}

/// A state without some tables.
fn without(state: &[(String, String)], tables: &[&str]) -> Vec<(String, String)> {
    state.iter().filter(|(name, _)| tables.iter().all(|table| !name.ends_with(table))).cloned().collect()
}
