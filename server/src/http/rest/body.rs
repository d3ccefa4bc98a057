//! Reading a JSON body: the right content type, bounded, and every wrong field named (B08, REQUIREMENTS 3.4).

use std::time::Duration;

use atelier_commands::Refusal;
use atelier_domain::{Invalid, Reason};
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

/// The most fields of an unknown name that are named.
const MOST_UNKNOWN: usize = 20;

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

/// Reads the body as a JSON object.
pub async fn object(body: Body) -> ApiResult<Map<String, Value>> {
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
    Ok(object)
}

/// Takes typed values out of an object and keeps what is wrong with them, so that one answer names every wrong field.
pub struct Fields<'o> {
    object: &'o Map<String, Value>,
    refused: Option<Refusal>,
}

impl<'o> Fields<'o> {
    /// The fields of an object; those it may not have are wrong.
    pub fn of(object: &'o Map<String, Value>, known: &[&'static str]) -> Self {
        let mut fields = Self { object, refused: None };
        for unknown in object.keys().filter(|name| !known.contains(&name.as_str())).take(MOST_UNKNOWN) {
            let name: String = unknown.chars().take(64).collect();
            fields.refuse(Refusal::value(name, Invalid::new(Reason::Unknown, "is not a known field")));
        }
        fields
    }

    /// What is wrong, with whatever else is wrong with the request.
    pub fn refused(self, other: Option<Refusal>) -> Option<Refusal> {
        match (self.refused, other) {
            (Some(refusal), Some(other)) => Some(refusal.and(other)),
            (refusal, other) => refusal.or(other),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused = Some(match self.refused.take() {
            Some(first) => first.and(refusal),
            None => refusal,
        });
    }

    fn typed<T>(&mut self, field: &'static str, expected: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.object.get(field).filter(|value| !value.is_null())?;
        let typed = read(value);
        if typed.is_none() {
            self.refuse(Refusal::value(field, Invalid::new(Reason::Type, format!("must be {expected}"))));
        }
        typed
    }

    /// A string that must be there; empty when it is not, which is refused here already.
    pub fn required_string(&mut self, field: &'static str) -> String {
        if self.object.get(field).is_none_or(Value::is_null) {
            self.refuse(Refusal::value(field, Invalid::new(Reason::Required, "is required")));
        }
        self.typed(field, "a string", |value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// A whole number, zero or more, that may be absent.
    pub fn number<N: TryFrom<u64>>(&mut self, field: &'static str) -> Option<N> {
        let number = |value: &Value| value.as_u64().and_then(|number| N::try_from(number).ok());
        self.typed(field, "a whole number in range", number)
    }

    /// True or false, or absent.
    pub fn bool(&mut self, field: &'static str) -> Option<bool> {
        self.typed(field, "true or false", Value::as_bool)
    }
}
