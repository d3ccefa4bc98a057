//! The REST edge at its borders: who is refused, in which words, what it costs, and what is never given out (REQUIREMENTS 1.2, part 3).

mod bodies;
mod errors;
mod idempotency;
mod jobs;
mod keys;
mod money;
mod ownership;
mod test_environment;
mod waiters;
pub mod wire;

use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// The cheapest and smallest picture: 100 credits.
fn picture() -> Value {
    json!({ "prompt": "A calm ocean at dawn", "model": "z-image-turbo", "width": 64, "height": 64 })
}

/// A key with some scopes, in some environment: its id and itself.
async fn key_of(studio: &TestStudio, person: &Person, input: Value) -> (String, String) {
    let create =
        "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { id secret userErrors { code } } }";
    let created = studio.mutate(Some(&person.token), create, json!({ "input": input })).await;
    let text = |name: &str| created[name].as_str().expect("shown once").to_owned();
    (text("id"), text("secret"))
}

/// What somebody can spend, and what is held.
async fn balance(studio: &TestStudio, key: &str) -> (i64, i64) {
    let credits = studio.get("/v1/credits", Some(key)).await.json();
    let number = |name: &str| credits[name].as_i64().expect("a number");
    (number("available"), number("held"))
}
