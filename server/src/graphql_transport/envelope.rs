//! A GraphQL request as it comes, in a body or in an address: read within its bound, and taken apart without guessing.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode, Uri};
use futures::StreamExt;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::limits::Limits;
use super::refusal::{ErrorCode, Refusal, shown};

/// What a client asks: the members of the body that mean something to us.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) query: String,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Map<String, Value>,
}

/// The parameters that mean something in an address.
const KNOWN: [&str; 4] = ["query", "operationName", "variables", "extensions"];

/// The members as sent; serde refuses a member that stands twice.
#[derive(Deserialize)]
struct Members {
    query: Option<Value>,
    #[serde(rename = "operationName")]
    operation_name: Option<Value>,
    variables: Option<Box<RawValue>>,
    extensions: Option<Value>,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// How long the body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads a body of at most `limit` bytes within [`PATIENCE`]; its announced length is believed only when it is too large.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let late = |_| Refusal::http(StatusCode::REQUEST_TIMEOUT, ErrorCode::BadRequest, "the body did not arrive in time");
    tokio::time::timeout(PATIENCE, read(headers, body, limit)).await.map_err(late)?
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("the limit is {limit} bytes of body");
        Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::PayloadTooLarge, message)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::bad_request("the body could not be read to its end"))?;
        if chunk.len() > limit - bytes.len() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Takes a body apart; serde_json bounds how deep it nests.
pub(super) fn parse(body: &[u8], limits: &Limits) -> Result<Envelope, Refusal> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Refusal::bad_request("batching is not supported"));
    }
    let members: Members = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad_request(match error.classify() {
            serde_json::error::Category::Data => "the body must be one JSON object, each member once",
            _ => "the body is not JSON",
        })
    })?;
    if let Some(name) = members.unknown.keys().next() {
        return Err(Refusal::bad_request(format!("unknown member \"{}\"", shown(name))));
    }
    taken_apart(members, limits)
}

/// Takes the query component of an address apart: the members of a body as parameters, those that are not strings as JSON. An empty one
/// counts as absent; parameters that mean nothing to us are let be, as in any address.
pub(super) fn parse_address(uri: &Uri, limits: &Limits) -> Result<Envelope, Refusal> {
    if uri.query().is_some_and(|query| query.len() > limits.url_bytes) {
        let message = format!("the limit is {} bytes of an address's query component", limits.url_bytes);
        return Err(Refusal::http(StatusCode::URI_TOO_LONG, ErrorCode::UriTooLong, message));
    }
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Err(Refusal::bad_request("the address holds what is no parameter"));
    };
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        if parameters.insert(name.clone(), value).is_some() && KNOWN.contains(&name.as_str()) {
            return Err(Refusal::bad_request(format!("the parameter \"{name}\" is there more than once")));
        }
    }
    let mut take = |name: &str| parameters.remove(name).filter(|value| !value.is_empty());
    let not_json = |name: &str| Refusal::bad_request(format!("{name} must be JSON"));
    let extensions = take("extensions").map(|text| serde_json::from_str(&text)).transpose();
    let variables = take("variables").map(RawValue::from_string).transpose();
    let members = Members {
        query: take("query").map(Value::String),
        operation_name: take("operationName").map(Value::String),
        variables: variables.map_err(|_| not_json("variables"))?,
        extensions: extensions.map_err(|_| not_json("extensions"))?,
        unknown: BTreeMap::new(),
    };
    taken_apart(members, limits)
}

fn taken_apart(members: Members, limits: &Limits) -> Result<Envelope, Refusal> {
    let extensions = match members.extensions {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(extensions)) => extensions,
        Some(_) => return Err(Refusal::bad_request("extensions must be an object or null")),
    };
    let query = match members.query {
        Some(Value::String(query)) => query,
        None | Some(Value::Null) if extensions.contains_key("persistedQuery") => {
            // The message, too, is what Apollo's link looks for.
            return Err(Refusal::document(ErrorCode::PersistedQueryNotSupported, "PersistedQueryNotSupported"));
        }
        _ => return Err(Refusal::bad_request("query must be a string")),
    };
    let operation_name = match members.operation_name {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(Refusal::bad_request("operationName must be a string or null")),
    };
    Ok(Envelope { query, operation_name, variables: parse_variables(members.variables.as_deref(), limits)? })
}

fn parse_variables(raw: Option<&RawValue>, limits: &Limits) -> Result<Map<String, Value>, Refusal> {
    let Some(raw) = raw else { return Ok(Map::new()) };
    if raw.get().len() > limits.variables_bytes {
        return Err(Refusal::limit("bytes of variables", limits.variables_bytes));
    }
    match serde_json::from_str(raw.get()) {
        Ok(Value::Object(variables)) => Ok(variables),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Refusal::bad_request("variables must be an object or null")),
        Err(_) => Err(Refusal::bad_request("variables nest too deep or hold a number out of range")),
    }
}
