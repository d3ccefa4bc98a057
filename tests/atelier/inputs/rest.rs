//! Every parameter, header and body field of REST with hostile values: a documented error that names the field, or it is done.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::hostile::{NUMBERS, texts};
use super::{everything_moves, hostile};
use crate::authorization::Caller;
use crate::authorization::cast::Cast;
use crate::rest::wire::{self, Reply};

/// Stands in a body for the value of the field that is tried.
const PLACE: &str = "@place@";

/// Bytes of a path or a query as a client may write them: broken escapes, broken UTF-8, NUL, and what is too long.
pub fn escaped() -> Vec<String> {
    let mut all: Vec<String> = [
        "",
        "%00",
        "a%00b",
        "%ff",
        "%c0%80",
        "%ed%a0%80",
        "%ef%bf%be",
        "%",
        "%zz",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f..",
        "%e2%80%ae",
        "-1",
        "0",
        "101",
        "9223372036854775807",
        "9223372036854775808",
        "NaN",
        "+10000-01-01T00:00:00Z",
        "'%20or%201=1",
        "%F0%9F%8C%8A",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push("x".repeat(8_000));
    all
}

/// What is wrong with an answer, if anything is.
fn complaint(reply: &Reply, field: &str) -> Option<String> {
    // 503 is what a job that waits too long or a database says, and nothing here is either.
    if reply.status >= 500 {
        return Some(format!("{} {}", reply.status, reply.body));
    }
    if reply.status != 400 || !reply.body.starts_with('{') {
        return None;
    }
    let said = reply.json();
    let named = said["errors"].as_array().into_iter().flatten().any(|error| error["field"] == json!(field));
    let malformed = said["error"] == json!("invalid_json");
    (!named && !malformed && said["field"] != json!(field)).then(|| format!("{field} is not named: {said}"))
}

async fn call(cast: &Cast, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let authorization = format!("Bearer {}", cast.key);
    let common =
        [("authorization", authorization.as_str()), ("content-type", "application/json"), ("prefer", "wait=0")];
    let own = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    let common: Vec<_> = common.into_iter().filter(|(name, _)| !own(name)).collect();
    wire::call(&cast.studio, line, &[&common, headers].concat(), body).await
}

/// The fields of the body of a generation, by the document that the studio serves.
async fn body_fields(cast: &Cast) -> BTreeSet<String> {
    let document = cast.studio.get("/v1/openapi.json", None).await.json();
    let properties = document["components"]["schemas"]["GenerationRequest"]["properties"].as_object();
    properties.expect("a schema").keys().cloned().collect()
}

fn good() -> Value {
    json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64, "num_images": 1, "seed": 7,
        "max_credits": 1_000, "publish": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a4_hostile_fields_of_the_body_are_named_and_stop_nobody() {
    let cast = Cast::assemble().await;
    let fields: BTreeSet<String> = good().as_object().expect("an object").keys().cloned().collect();
    assert_eq!(body_fields(&cast).await, fields, "each documented field has a good value here");
    let others = ["null", "{}", "[]", "true", "[\"x\"]", "\"1\""].map(str::to_owned);
    let values: Vec<String> =
        texts().into_iter().chain(NUMBERS.iter().map(|number| (*number).to_owned())).chain(others).collect();
    let mut wrong = Vec::new();
    for field in &fields {
        for value in &values {
            let mut body = good();
            body[field] = json!(PLACE);
            let body = body.to_string().replace(&format!("\"{PLACE}\""), value);
            let reply = call(&cast, "POST /v1/generate", &[], &body).await;
            if let Some(complaint) = complaint(&reply, field) {
                wrong.push(format!("{field} = {value:.60}: {complaint:.300}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    everything_moves(&cast, "POST /v1/generate", 1).await;
    cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_hostile_parameters_of_every_operation_are_the_clients_error() {
    let cast = Cast::assemble().await;
    let document = cast.studio.get("/v1/openapi.json", None).await.json();
    let (mut number, mut wrong) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            for parameter in operation["parameters"].as_array().expect("parameters") {
                let (name, place) = (parameter["name"].as_str().expect("a name"), &parameter["in"]);
                let id = cast.unknown("gen");
                let values = if place == &json!("header") { headers() } else { escaped() };
                for value in values {
                    number += 1;
                    let method = method.to_uppercase();
                    let known = path.replace("{id}", &id);
                    let body = if method == "POST" { good().to_string() } else { String::new() };
                    let reply = match place.as_str() {
                        Some("path") => {
                            let path = path.replace(&format!("{{{name}}}"), &value);
                            call(&cast, &format!("{method} {path}"), &[], &body).await
                        }
                        Some("query") => call(&cast, &format!("{method} {known}?{name}={value}"), &[], &body).await,
                        _ => call(&cast, &format!("{method} {known}"), &[(name, &value)], &body).await,
                    };
                    if reply.status >= 500 {
                        wrong.push(format!("{method} {path}: {name} = {value:.60}: {} {}", reply.status, reply.body));
                    }
                }
            }
        }
    }
    assert!(number > 150, "{number} values were tried");
    assert_eq!(wrong, [""; 0]);
    everything_moves(&cast, "parameters", 1).await;
    cast.studio.stop().await;
}

/// Values of headers that HTTP can carry, and some that are long or not ASCII.
fn headers() -> Vec<String> {
    let mut all: Vec<String> = hostile::TEXTS
        .iter()
        .filter(|text| !text.chars().any(|c| c.is_control()))
        .map(|text| (*text).to_owned())
        .chain(NUMBERS.iter().map(|number| (*number).to_owned()))
        .collect();
    all.push("x".repeat(201));
    all.push("x".repeat(5_000));
    all.push("wait=99999999999999999999".to_owned());
    all.push("wait=-1".to_owned());
    all
}

/// Headers that every request may have, and that something is made of: devices, tokens, cookies, languages, addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a1_hostile_headers_of_a_sign_in_are_nobodys_fault_and_stop_nobody() {
    let cast = Cast::assemble().await;
    let query = format!(
        "mutation {{ signIn(input: {{email: \"{}\", password: \"{}\"}}) {{ token userErrors {{ code }} }} }}",
        cast.owner.email,
        crate::harness::studio::PASSWORD
    );
    let body = json!({ "query": query }).to_string();
    for name in
        ["user-agent", "cookie", "accept-language", "x-forwarded-for", "x-request-id", "authorization", "origin"]
    {
        for value in headers() {
            let value = match name {
                "cookie" => format!("atelier-session-dev={value}; atelier-device-dev={value}"),
                "user-agent" => format!("{value} Firefox/1 Linux {value}"),
                _ => value,
            };
            cast.forget_tries().await;
            let headers = [("content-type", "application/json"), (name, value.as_str())];
            let reply = wire::call(&cast.studio, "POST /graphql", &headers, &body).await;
            assert!(reply.status < 500, "{name}: {value:.60}: {} {}", reply.status, reply.body);
            assert!(!reply.body.contains("INTERNAL") && !reply.body.contains("UNAVAILABLE"), "{name}: {value:.60}");
        }
    }
    assert!(cast.token(Caller::Owner).is_some());
    everything_moves(&cast, "headers", 1).await;
    cast.studio.stop().await;
}
