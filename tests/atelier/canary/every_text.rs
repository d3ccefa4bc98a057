//! A text planted in everything a client can send, for somebody who is about to leave: every argument and every field of every input that the
//! served schema knows, every parameter and every member of a body of the OpenAPI document, every route of the router, every header.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::MARK;
use crate::authorization::routes::routes;
use crate::harness::socket::Socket;
use crate::harness::visitor::Visitor;

const INTROSPECTION: &str = "{ __schema { types { kind name enumValues { name } inputFields { name type { ...T } } \
    fields { name args { name type { ...T } } type { ...T } } } } } \
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// Mutations that would end the session that plants, or send a mail to a planted address.
const LEFT_OUT: [&str; 2] = ["signOut", "revokeAllSessions"];

/// Headers beside those of the OpenAPI document. Those that the server's source reads are among them, or the test fails.
const HEADERS: &[(&str, &str)] = &[
    ("user-agent", "{}-agent"),
    ("accept-language", "{}-language"),
    ("content-language", "{}-language"),
    ("referer", "https://{}.example/{}"),
    ("x-forwarded-for", "{}-client"),
    ("x-forwarded-host", "{}.example"),
    ("x-forwarded-proto", "{}"),
    ("x-real-ip", "{}"),
    ("forwarded", "for={}"),
    ("via", "1.1 {}"),
    ("x-request-id", "{}-request"),
    ("traceparent", "00-{}-{}-01"),
    ("tracestate", "{}=1"),
    ("baggage", "{}=1"),
    ("if-none-match", "\"{}\""),
    ("if-modified-since", "{}"),
    ("if-range", "\"{}\""),
    ("range", "bytes={}"),
    ("sec-fetch-site", "{}"),
    ("prefer", "wait=0, {}"),
    ("idempotency-key", "{}-key"),
    ("x-{}", "{}"),
];

/// Headers that take the place of what a request needs, tried where it needs nothing.
const INSTEAD: &[(&str, &str)] = &[
    ("authorization", "Bearer {}-token"),
    ("x-api-key", "atl_live_{}"),
    ("cookie", "atelier-session-dev={}; atelier-device-dev={}; atelier-browser-dev={}; {}={}"),
    ("origin", "https://{}.example"),
    ("accept", "text/{}"),
    ("content-type", "application/{}"),
    ("content-encoding", "{}"),
    ("host", "{}.example"),
];

fn planted(text: &str) -> String {
    text.replace("{}", MARK)
}

fn named(kind: &Value) -> &str {
    kind["name"].as_str().unwrap_or_else(|| named(&kind["ofType"]))
}

/// A type as a document writes it.
fn written(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&kind["ofType"])),
        Some("LIST") => format!("[{}]", written(&kind["ofType"])),
        _ => named(kind).to_owned(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The types of the schema by name.
struct Schema(BTreeMap<String, Value>);

impl Schema {
    /// A value of a type: the text at `at`, if that is here, and what does no harm elsewhere. Notes the places of texts.
    fn value(&self, kind: &Value, path: &str, at: Option<&str>, own: &Own, places: &mut BTreeSet<String>) -> Value {
        match kind["kind"].as_str() {
            Some("NON_NULL") => self.value(&kind["ofType"], path, at, own, places),
            Some("LIST") => json!([self.value(&kind["ofType"], path, at, own, places)]),
            Some("INPUT_OBJECT") => {
                let fields = list(&self.0[named(kind)]["inputFields"]);
                let field = |field: &Value| {
                    let name = field["name"].as_str().expect("a name");
                    (name.to_owned(), self.value(&field["type"], &format!("{path}.{name}"), at, own, places))
                };
                Value::Object(fields.map(field).collect::<Map<_, _>>())
            }
            Some("ENUM") => self.0[named(kind)]["enumValues"][0]["name"].clone(),
            _ => match named(kind) {
                "Int" | "Long" => json!(64),
                "Boolean" => json!(false),
                "Float" => json!(1.0),
                _ => {
                    places.insert(path.to_owned());
                    let name = path.rsplit('.').next().expect("a name");
                    json!(if at == Some(path) { own.planted(name) } else { own.harmless(name) })
                }
            },
        }
    }
}

/// Who plants.
pub struct Own<'a> {
    /// A session's token.
    pub session: &'a str,
    /// An API key.
    pub key: &'a str,
    /// The handle, which holds the text already.
    pub username: &'a str,
}

impl Own<'_> {
    /// The text in a form that the field might take. A new handle or address would be another account's, which does not leave.
    fn planted(&self, name: &str) -> String {
        match name {
            "email" => format!("{MARK}-{name}@example.com"),
            "username" => format!("{MARK} {name}"),
            "newPassword" | "password" | "currentPassword" => format!("{MARK}-Word-1"),
            "idempotencyKey" => format!("{MARK}-{name}"),
            "redirectUri" => format!("https://app.example.com/{MARK}"),
            "codeVerifier" | "codeChallenge" => format!("{MARK}{}", "v".repeat(35)),
            "expiresAt" => format!("2027-01-01T00:00:00Z{MARK}"),
            _ => format!("{MARK} {name}"),
        }
    }

    fn harmless(&self, name: &str) -> String {
        match name {
            // Taken, so that nobody signs up.
            "username" => self.username.to_owned(),
            "email" => "nobody@example.com".to_owned(),
            "model" => "z-image-turbo".to_owned(),
            "expiresAt" => "2027-01-01T00:00:00Z".to_owned(),
            "scopes" => "generate".to_owned(),
            "idempotencyKey" => "a-key".to_owned(),
            _ => "x".to_owned(),
        }
    }
}

/// Sends all of it; how many places of the schema and of the REST API had the text.
pub async fn sends(visitor: &Visitor, own: &Own<'_>) -> (usize, usize) {
    assert_eq!(unread(), [""; 0], "headers that the server reads");
    let graphql = by_graphql(visitor, own).await;
    by_socket(visitor, own).await;
    let rest = by_rest(visitor, own).await;
    by_routes(visitor).await;
    (graphql, rest)
}

/// Names of headers in the server's source that are in neither list; what the server only sends does not count.
fn unread() -> Vec<String> {
    const SENT: [&str; 15] = [
        "www-authenticate",
        "retry-after",
        "cache-control",
        "set-cookie",
        "content-security-policy",
        "referrer-policy",
        "strict-transport-security",
        "location",
        "content-range",
        "content-disposition",
        "accept-ranges",
        "x-content-type-options",
        "etag",
        "allow",
        "vary",
    ];
    let mut names = BTreeSet::new();
    for file in crate::architecture::files_of("server/src/http/") {
        for (at, start) in file.match_indices("header::") {
            let name: String =
                file[at + start.len()..].chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            if name.len() > 1 {
                names.insert(name.to_lowercase().replace('_', "-"));
            }
        }
        for (at, start) in file.match_indices("headers().get(\"").chain(file.match_indices("headers.get_all(\"")) {
            names.insert(file[at + start.len()..].split('"').next().expect("a name").to_owned());
        }
    }
    assert!(names.len() > 10, "the source was not read: {names:?}");
    // Its own length is the client's business.
    let tried = |name: &String| {
        HEADERS.iter().chain(INSTEAD).any(|(tried, _)| tried == name)
            || SENT.contains(&name.as_str())
            || name == "content-length"
    };
    names.into_iter().filter(|name| !tried(name)).collect()
}

async fn by_graphql(visitor: &Visitor, own: &Own<'_>) -> usize {
    let told = visitor.graphql(Some(own.session), INTROSPECTION, json!({})).await;
    let types = list(&told["types"]).map(|kind| (named(kind).to_owned(), kind.clone()));
    let schema = Schema(types.collect());
    let mut planted_at = 0;
    for (root, word) in [("Mutation", "mutation"), ("Query", "query")] {
        for field in list(&schema.0[root]["fields"]) {
            let name = field["name"].as_str().expect("a name");
            if LEFT_OUT.contains(&name) {
                continue;
            }
            let below = !matches!(schema.0[named(&field["type"])]["kind"].as_str(), Some("SCALAR" | "ENUM"));
            let selection = if below { "{ __typename }" } else { "" };
            let arguments: Vec<&Value> = list(&field["args"]).collect();
            let declared: Vec<String> = arguments
                .iter()
                .map(|argument| {
                    format!("${}: {}", argument["name"].as_str().expect("a name"), written(&argument["type"]))
                })
                .collect();
            let passed: Vec<String> = arguments
                .iter()
                .map(|argument| argument["name"].as_str().expect("a name"))
                .map(|name| format!("{name}: ${name}"))
                .collect();
            let query = if arguments.is_empty() {
                format!("{word} {{ {name} {selection} }}")
            } else {
                format!("{word}({}) {{ {name}({}) {selection} }}", declared.join(", "), passed.join(", "))
            };
            let mut places = BTreeSet::new();
            let variables = |at: Option<&str>, places: &mut BTreeSet<String>| {
                let value = |argument: &&Value| {
                    let name = argument["name"].as_str().expect("a name");
                    (name.to_owned(), schema.value(&argument["type"], name, at, own, places))
                };
                Value::Object(arguments.iter().map(value).collect::<Map<_, _>>())
            };
            variables(None, &mut places);
            for place in places.iter().map(Some).chain([None]) {
                let body =
                    json!({ "query": query, "variables": variables(place.map(String::as_str), &mut BTreeSet::new()) });
                let mut request = visitor.request("POST", "/graphql").bearer_auth(own.session).json(&body);
                for (header, value) in HEADERS {
                    request = request.header(planted(header), planted(value));
                }
                let answer = request.send().await.expect("the process answers");
                assert!(answer.status().as_u16() < 500, "{name} {place:?}");
                planted_at += usize::from(place.is_some());
            }
        }
    }
    planted_at
}

async fn by_socket(visitor: &Visitor, own: &Own<'_>) {
    let agent = planted("{}-agent");
    let headers = [("sec-websocket-protocol", "graphql-transport-ws"), ("user-agent", agent.as_str())];
    let mut socket = Socket::open(&visitor.url, &headers).await.expect("an upgrade");
    let payload = json!({ "authorization": format!("Bearer {}", own.session), MARK: MARK });
    socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
    socket.hear().await;
    let query = format!("subscription {MARK} {{ generationUpdated(id: \"{MARK}\") {{ position }} }}");
    socket.subscribe(MARK, &query, json!({ MARK: MARK })).await;
    socket.hear().await;
    socket.say(&json!({ "type": "ping", "payload": { MARK: MARK } })).await;
    socket.hear().await;
    let mut refused = Socket::open(&visitor.url, &headers).await.expect("an upgrade");
    let wrong = json!({ "authorization": format!("Bearer ats_{MARK}") });
    refused.say(&json!({ "type": "connection_init", "payload": wrong })).await;
    refused.hear().await;
}

async fn by_rest(visitor: &Visitor, own: &Own<'_>) -> usize {
    let document = visitor.get("/v1/openapi.json", None).await.json();
    let mut planted_at = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let content = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = match content["$ref"].as_str() {
                Some(reference) => &document["components"]["schemas"][reference.rsplit('/').next().expect("a name")],
                None => content,
            };
            let members = body["properties"].as_object().into_iter().flatten().map(|(name, _)| ("body", name.as_str()));
            let parameters = list(&operation["parameters"])
                .map(|one| (one["in"].as_str().expect("a place"), one["name"].as_str().expect("a name")));
            for (place, name) in parameters.chain(members).chain([("body", MARK)]) {
                let mut content = json!({ "prompt": "a harbour", "model": "z-image-turbo", "width": 64, "height": 64 });
                let text = format!("{MARK}-{name}");
                let path = match place {
                    "path" => path.replace(&format!("{{{name}}}"), &text),
                    "query" => format!("{path}?{name}={text}"),
                    _ => path.clone(),
                };
                let path = path.replace("{id}", "gen_00000000000040008000000000000000").replace("{ticket}", MARK);
                if place == "body" {
                    content[name] = json!(text);
                }
                let mut request = visitor.request(&method.to_uppercase(), &path).bearer_auth(own.key).json(&content);
                for (header, value) in HEADERS {
                    request = request.header(planted(header), planted(value));
                }
                if place == "header" && !HEADERS.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)) {
                    request = request.header(name, &text);
                }
                let status = request.send().await.expect("the process answers").status().as_u16();
                // A generator whose place is taken, or credits that are out, are answers too.
                assert!(status < 500, "{method} {path} {place} {name}: {status}");
                planted_at += 1;
            }
        }
    }
    planted_at
}

/// Every route, by every method, with the text in each part of the address, in a form, in JSON, and in the headers that stand for somebody.
async fn by_routes(visitor: &Visitor) {
    const PARAMETERS: [&str; 16] = [
        "token",
        "code",
        "state",
        "error",
        "error_description",
        "redirect_uri",
        "code_challenge",
        "code_challenge_method",
        "signature",
        "expires",
        "query",
        "operationName",
        "variables",
        "extensions",
        "ticket",
        "username",
    ];
    let each = |separator: &str| {
        let pairs = PARAMETERS.iter().chain([&MARK]).map(|name| format!("{name}={MARK}-{name}"));
        pairs.collect::<Vec<_>>().join(separator)
    };
    for route in routes() {
        let parts =
            route.split('/').map(|part| if part.starts_with('{') { planted("{}-part") } else { part.to_owned() });
        let path = format!("{}?{}", parts.collect::<Vec<_>>().join("/"), each("&"));
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            for instead in INSTEAD.iter().map(Some).chain([None]) {
                let mut request = visitor.request(method, &path);
                let kind = if method == "PUT" { "application/json" } else { "application/x-www-form-urlencoded" };
                if !matches!(instead, Some(("content-type", _))) {
                    request = request.header("content-type", kind);
                }
                if let Some((header, value)) = instead {
                    request = request.header(*header, planted(value));
                }
                for (header, value) in HEADERS {
                    request = request.header(planted(header), planted(value));
                }
                let body = if method == "PUT" { json!({ MARK: MARK }).to_string() } else { each("&") };
                // A refused upgrade or a closed connection is an answer as well.
                let _ = request.body(body).send().await;
            }
        }
    }
}
