//! API keys: caps, rotation, usage, limits and who may have them (B14-B19, C14, U21, U34, V27-V31, sec.K3, sec.K4, sec.R5).

mod access;
mod caps;
mod limits;
mod places;
mod rotation;
mod usage;

use atelier_domain::ApiKeyId;
use atelier_graphql::global_id::GlobalId;
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const CREATE: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) \
    { id secret secretAvailable userErrors { code field message } position } }";
const ROTATE: &str = "mutation($input: RotateApiKeyInput!) { rotateApiKey(input: $input) \
    { id secret secretAvailable prefix userErrors { code field message } position } }";
const REVOKE: &str = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } position } }";

/// The cheapest and smallest picture: 100 credits.
fn picture() -> Value {
    json!({ "prompt": "A calm ocean at dawn", "model": "z-image-turbo", "width": 64, "height": 64 })
}

/// A key of this input: its id and itself.
async fn key_of(studio: &TestStudio, person: &Person, input: Value) -> (String, String) {
    shown(&studio.mutate(Some(&person.token), CREATE, json!({ "input": input })).await)
}

/// The id and the secret that a payload shows.
fn shown(made: &Value) -> (String, String) {
    let text = |name: &str| made[name].as_str().expect("shown once").to_owned();
    (text("id"), text("secret"))
}

/// The key behind an id.
fn id_of(id: &str) -> ApiKeyId {
    let Some(GlobalId::ApiKey(key)) = GlobalId::parse(id) else { panic!("not a key's id: {id}") };
    key
}

/// The code and the field of a mutation's one refusal.
async fn refusal(studio: &TestStudio, person: &Person, query: &str, input: Value) -> (String, String) {
    let answer = studio.graphql(Some(&person.token), query, json!({ "input": input })).await;
    let payload = answer.as_object().and_then(|data| data.values().next()).cloned().expect("one root field");
    let error = &payload["userErrors"][0];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("code"), text("field"))
}

/// Asks for a picture and does not wait.
async fn ask(studio: &TestStudio, key: &str) -> crate::harness::studio::Answer {
    studio.post_with("/v1/generate", key, &picture(), &[("prefer", "wait=0")]).await
}
