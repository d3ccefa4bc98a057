//! Reading a JSON body: the right content type, bounded, and every wrong field named (B08, REQUIREMENTS 3.4).

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::http::answer::{ApiError, ApiResult};

/// The most bytes of a body: a prompt of 4,000 characters fits many times over.
const MAX_BODY: usize = 64 * 1024;

/// How long the body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// Refuses any content type but JSON.
pub fn require_json(headers: &HeaderMap) -> ApiResult<()> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value =
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.all(|parameter| {
        parameter.eq_ignore_ascii_case("charset=utf-8") || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
    });
    if json && utf8 {
        return Ok(());
    }
    let message = "Content-Type must be application/json.";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
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
