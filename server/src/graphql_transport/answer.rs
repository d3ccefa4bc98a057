//! What goes back: the JSON body with its codes and trace id, the status, the headers (GraphQL-over-HTTP, sec.R6).

use std::collections::BTreeMap;

use async_graphql::{ServerError, Value};
use axum::body::Body;
use axum::http::header::{self, ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::negotiation::MediaType;
use super::refusal::{ErrorCode, MAX_ERRORS, Refusal};

/// The message of every fault of ours, whatever its cause.
const INTERNAL_MESSAGE: &str = "internal error";
/// The extension by which a fault of the database says when to try again, in seconds.
const RETRY_AFTER: &str = "retryAfter";
/// A validator's message, which may quote the document, is cut here.
const MAX_MESSAGE_CHARS: usize = 300;

#[derive(Serialize)]
struct AnswerBody {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
    /// Absent, not null, when the request did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<String, Value>,
}

/// What a socket is sent of a subscription.
#[derive(Debug)]
pub enum Event {
    /// The payload of `next`.
    Next(Box<RawValue>),
    /// The payload of `error`: the subscription is over.
    Failed(Box<RawValue>),
}

impl Event {
    /// What the executor gave, its errors given codes as in a request's answer; an event without data ends the subscription.
    pub fn of(response: async_graphql::Response, trace_id: &str) -> Self {
        if did_not_run(&response) {
            let errors = response.errors.into_iter().take(MAX_ERRORS);
            return Self::failed(errors.map(|error| validation_error(error, trace_id)).collect());
        }
        let errors = response.errors.into_iter().map(|error| field_error(error, trace_id)).collect();
        if response.data == Value::Null {
            return Self::failed(errors);
        }
        Self::Next(raw(&AnswerBody { errors, data: Some(response.data), extensions: response.extensions }))
    }

    /// Something of ours broke.
    pub fn fault(trace_id: &str) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::refused(Refusal::http(status, ErrorCode::Internal, INTERNAL_MESSAGE), trace_id)
    }

    /// There is no room for another subscription.
    pub fn too_many(limit: usize, trace_id: &str) -> Self {
        Self::refused(Refusal::limit("subscriptions of a socket", limit), trace_id)
    }

    pub(super) fn refused(refusal: Refusal, trace_id: &str) -> Self {
        Self::failed(coded(refusal, trace_id))
    }

    fn failed(errors: Vec<ServerError>) -> Self {
        Self::Failed(raw(&errors))
    }
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("strings, numbers, lists and maps with string keys are JSON")
}

/// The answer to a request that did not run.
pub(super) fn refused(refusal: Refusal, media_type: MediaType, trace_id: &str) -> Response {
    let status = refusal.status.unwrap_or_else(|| not_run(media_type));
    let allow = refusal.allow;
    let mut response = request_error(status, media_type, coded(refusal, trace_id));
    if let Some(methods) = allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

/// The answer when something of ours broke outside of a field.
pub(super) fn fault(media_type: MediaType, trace_id: &str) -> Response {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    refused(Refusal::http(status, ErrorCode::Internal, INTERNAL_MESSAGE), media_type, trace_id)
}

/// The answer when the database did not say who asks.
pub(super) fn unavailable(media_type: MediaType, trace_id: &str) -> Response {
    let refusal = Refusal::http(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, "Temporarily unavailable.");
    let mut errors = coded(refusal, trace_id);
    errors.iter_mut().for_each(|error| error.extensions.get_or_insert_default().set(RETRY_AFTER, 1));
    passing(request_error(StatusCode::SERVICE_UNAVAILABLE, media_type, errors), 1)
}

/// Makes an answer one of HTTP 503, as that of REST is.
fn passing(mut response: Response, seconds: u64) -> Response {
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// After how many seconds the same request may do better, when no root field has data and a fault of the database is why: an error
/// that says `retryAfter`.
fn retry_after(response: &async_graphql::Response) -> Option<u64> {
    let empty = match &response.data {
        Value::Object(roots) => roots.values().all(|value| *value == Value::Null),
        data => *data == Value::Null,
    };
    let said = |error: &ServerError| match error.extensions.as_ref()?.get(RETRY_AFTER)? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    };
    if empty { response.errors.iter().filter_map(said).max() } else { None }
}

/// The answer of the executor, its errors given codes.
pub(super) fn executed(response: async_graphql::Response, media_type: MediaType, trace_id: &str) -> Response {
    if did_not_run(&response) {
        let errors = response.errors.into_iter().take(MAX_ERRORS);
        let errors = errors.map(|error| validation_error(error, trace_id)).collect();
        return request_error(not_run(media_type), media_type, errors);
    }
    let retry_after = retry_after(&response);
    // All of them: each null is owed its error.
    let errors = response.errors.into_iter().map(|error| field_error(error, trace_id)).collect();
    let body = AnswerBody { errors, data: Some(response.data), extensions: response.extensions };
    let answer = write(StatusCode::OK, media_type, &body, response.http_headers);
    match retry_after {
        Some(seconds) => passing(answer, seconds),
        None => answer,
    }
}

/// The status of a well-formed request that cannot run: an old client would take a 400 for that of a proxy.
const fn not_run(media_type: MediaType) -> StatusCode {
    match media_type {
        MediaType::Json => StatusCode::OK,
        MediaType::GraphqlResponse => StatusCode::BAD_REQUEST,
    }
}

/// The errors of a validator stand alone and point at no field; those of a resolver have a path.
fn did_not_run(response: &async_graphql::Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

fn coded(mut refusal: Refusal, trace_id: &str) -> Vec<ServerError> {
    let more = std::mem::take(&mut refusal.more);
    let errors = std::iter::once(refusal).chain(more).take(MAX_ERRORS).map(|refusal| {
        let mut error = ServerError::new(refusal.message, None);
        error.locations = refusal.locations;
        if let Some((cut, _)) = error.message.char_indices().nth(MAX_MESSAGE_CHARS) {
            error.message.truncate(cut);
        }
        with_code(error, refusal.code, trace_id)
    });
    errors.collect()
}

fn with_code(mut error: ServerError, code: ErrorCode, trace_id: &str) -> ServerError {
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", code.as_str());
    extensions.set("traceId", trace_id);
    error
}

fn validation_error(mut error: ServerError, trace_id: &str) -> ServerError {
    if let Some((cut, _)) = error.message.char_indices().nth(MAX_MESSAGE_CHARS) {
        error.message.truncate(cut);
    }
    let code = match error.message.as_str() {
        "Query is too complex." | "Query is nested too deep." => ErrorCode::LimitExceeded,
        message if message.starts_with("The recursion depth of the query") => ErrorCode::LimitExceeded,
        _ => ErrorCode::GraphqlValidationFailed,
    };
    with_code(error, code, trace_id)
}

/// A resolver's error keeps the code its layer gave it; one without is a fault of ours.
fn field_error(mut error: ServerError, trace_id: &str) -> ServerError {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    match code {
        Some(Value::String(code)) if code != ErrorCode::Internal.as_str() => {
            error.extensions.get_or_insert_default().set("traceId", trace_id);
            error
        }
        None if is_argument_error(&error) => {
            error.message = "an argument has a value its type does not allow".to_owned();
            with_code(error, ErrorCode::BadInput, trace_id)
        }
        _ => {
            log_fault(&error, trace_id);
            error.message = INTERNAL_MESSAGE.to_owned();
            error.extensions = None;
            with_code(error, ErrorCode::Internal, trace_id)
        }
    }
}

/// Whether async-graphql itself could not read an argument: it marks such errors by nothing but their words, and they
/// quote the value, so that neither log nor answer may repeat them.
fn is_argument_error(error: &ServerError) -> bool {
    let begins = ["Failed to parse \"", "Expected input type \"", "Invalid value for argument "];
    error.source.is_none() && begins.iter().any(|begin| error.message.starts_with(begin))
}

/// The cause goes to the log: an error of ours holds no personal data (DESIGN 9). Its path does not: it is made of
/// aliases, which the client writes.
fn log_fault(error: &ServerError, trace_id: &str) {
    tracing::error!(trace_id, cause = %error.message, "a resolver failed");
}

fn request_error(status: StatusCode, media_type: MediaType, errors: Vec<ServerError>) -> Response {
    let body = AnswerBody { errors, data: None, extensions: BTreeMap::new() };
    write(status, media_type, &body, HeaderMap::new())
}

fn write(status: StatusCode, media_type: MediaType, body: &AnswerBody, resolver_headers: HeaderMap) -> Response {
    let body = serde_json::to_vec(body).expect("strings, numbers, lists and maps with string keys are JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(resolver_headers);
    headers.insert(CONTENT_TYPE, media_type.content_type());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept, authorization, cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
