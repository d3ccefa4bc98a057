//! The body of a GraphQL request: read within its bound, and taken apart without guessing.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
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

/// Reads a body of at most `limit` bytes; its announced length is believed only when it is too large.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
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
    let Some(Value::String(query)) = members.query else {
        return Err(Refusal::bad_request("query must be a string"));
    };
    let operation_name = match members.operation_name {
        None => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(Refusal::bad_request("operationName must be a string or null")),
    };
    if !matches!(members.extensions, None | Some(Value::Object(_))) {
        return Err(Refusal::bad_request("extensions must be an object or null"));
    }
    Ok(Envelope { query, operation_name, variables: parse_variables(members.variables.as_deref(), limits)? })
}

fn parse_variables(raw: Option<&RawValue>, limits: &Limits) -> Result<Map<String, Value>, Refusal> {
    let Some(raw) = raw else { return Ok(Map::new()) };
    if raw.get().len() > limits.variables_bytes {
        return Err(Refusal::limit("bytes of variables", limits.variables_bytes));
    }
    match serde_json::from_str(raw.get()) {
        Ok(Value::Object(variables)) => Ok(variables),
        Ok(_) => Err(Refusal::bad_request("variables must be an object or null")),
        Err(_) => Err(Refusal::bad_request("variables nest too deep or hold a number out of range")),
    }
}
