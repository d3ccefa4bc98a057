//! The GraphQL edge over the real schema: what is refused before it runs, who sees what, and reading one's own writes (DESIGN 5, 6).

mod api_keys;
mod defaults;
mod numbers;
mod once;
mod paging;
mod positions;
mod profile;
mod publishing;
mod served;
mod sessions;
mod sign_up;
mod sockets;
mod transport;
mod visibility;
mod waits;

use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

/// The code of the one top-level error of an answer.
fn fault(answer: &Value) -> &str {
    let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("no errors: {answer}"));
    assert!(errors.iter().all(|error| error["extensions"]["traceId"].is_string()), "sec.R6: a trace id: {answer}");
    errors[0]["extensions"]["code"].as_str().expect("a code")
}

/// Code and field of the one user error of a mutation that a rule must refuse; nothing else may be in its payload.
async fn refusal(studio: &TestStudio, token: Option<&str>, query: &str, variables: Value) -> (String, String) {
    let data = studio.graphql(token, query, variables).await;
    let payload = data.as_object().and_then(|data| data.values().next()).expect("one root field");
    let [error] = payload["userErrors"].as_array().expect("user errors").as_slice() else {
        panic!("one user error was expected: {payload}")
    };
    let others = payload.as_object().expect("a payload").iter().filter(|(name, _)| *name != "userErrors");
    others.for_each(|(name, value)| assert_eq!(value, &Value::Null, "{name} of a refusal"));
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("code"), text("field"))
}

/// Requests the cheapest and smallest picture; its id.
async fn request(studio: &TestStudio, person: &Person, prompt: &str) -> String {
    let query = "mutation($prompt: String!) { requestGeneration(input: {prompt: $prompt, model: \"z-image-turbo\", width: 64, height: 64}) \
        { generation { id } userErrors { code message } position } }";
    let made = studio.mutate(Some(&person.token), query, json!({ "prompt": prompt })).await;
    made["generation"]["id"].as_str().expect("a job").to_owned()
}

/// The ids of the items of a connection.
fn ids(connection: &Value) -> Vec<String> {
    let edges = connection["edges"].as_array().unwrap_or_else(|| panic!("no edges: {connection}"));
    edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect()
}
