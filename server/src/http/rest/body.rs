//! Reading a JSON body: the right content type, bounded, and every wrong field named (B08, REQUIREMENTS 3.4).

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::header_value::{is_encoded, is_json};
use crate::http::answer::{ApiError, ApiResult};

/// The most bytes of a body: a prompt of 4,000 characters fits many times over.
const MAX_BODY: usize = 64 * 1024;

/// How long the body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

fn unsupported(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}

/// Refuses a body that is compressed or encoded otherwise.
fn require_plain(headers: &HeaderMap) -> ApiResult<()> {
    if is_encoded(headers) { Err(unsupported("The body must not have a Content-Encoding.")) } else { Ok(()) }
}

/// Refuses any content type but JSON, and a body that is encoded.
pub fn require_json(headers: &HeaderMap) -> ApiResult<()> {
    if !is_json(headers) {
        return Err(unsupported("Content-Type must be application/json."));
    }
    require_plain(headers)
}

/// The middleware before handlers that take a body of another kind: an encoded one is refused.
pub async fn plain(request: Request, next: Next) -> Response {
    match require_plain(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Reads the body as a JSON object whose members are all known.
pub async fn object(body: Body, known: &[&'static str]) -> ApiResult<Map<String, Value>> {
    let read = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX_BODY)).await;
    let read = read.map_err(|_| {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time.")
    })?;
    let bytes = read.map_err(|_| {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("The body may have {MAX_BODY} bytes."),
        )
    })?;
    let malformed = |message: &str| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| malformed("The body is not valid JSON."))?;
    let Value::Object(object) = value else { return Err(malformed("The body must be a JSON object.")) };
    if let Some(unknown) = object.keys().find(|name| !known.contains(&name.as_str())) {
        let name: String = unknown.chars().take(64).collect();
        let message = format!("{name} is not a known field.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", message).with("field", name));
    }
    Ok(object)
}

fn wrong(field: &'static str, expected: &str) -> ApiError {
    let message = format!("{field} must be {expected}.");
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", message).with("field", field)
}

/// A string that must be there.
pub fn required_string(object: &Map<String, Value>, field: &'static str) -> ApiResult<String> {
    match object.get(field) {
        None | Some(Value::Null) => {
            let message = format!("{field} is required.");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "missing_field", message).with("field", field))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(field, "a string")),
    }
}

/// A whole number, zero or more, that may be absent.
pub fn optional_number<N: TryFrom<u64>>(object: &Map<String, Value>, field: &'static str) -> ApiResult<Option<N>> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().and_then(|number| N::try_from(number).ok());
            number.map(Some).ok_or_else(|| wrong(field, "a whole number in range"))
        }
    }
}

/// True or false, or absent.
pub fn optional_bool(object: &Map<String, Value>, field: &'static str) -> ApiResult<Option<bool>> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong(field, "true or false")),
    }
}
