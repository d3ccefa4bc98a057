//! Pages of other origins (CORS): those in the list may ask and read, with cookies; all others get the plain answer, which their browser
//! keeps from them, and neither bring a cookie nor get one.
//!
//! tower-http's layer does not fit: it answers every `OPTIONS` itself, gives foreign origins every header but one, and repeats any
//! length of requested headers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, COOKIE, ORIGIN, SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Edge;
use super::origins::Sender;

/// How long a browser may remember that it may ask, seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// The methods of all routes together; a route that does not know one answers 405 to the request itself.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
/// The most bytes of requested header names that are repeated.
const MAX_REQUESTED: usize = 4_096;
/// What pages may read of an answer, beside what any page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Allow, Atelier-Position, Content-Disposition, Content-Encoding, Content-Range, Date, ETag, Idempotency-Hit, \
     Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Credits-Remaining, \
     X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id",
);
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The middleware around every route, and around what no route is for.
pub async fn cors(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let sender = edge.origins.sender(request.headers());
    let origin = request.headers().get(ORIGIN).filter(|_| sender == Sender::Listed).cloned();
    if sender == Sender::Foreign {
        request.headers_mut().remove(COOKIE);
    }
    let mut response = match (&origin, asks_first(&request)) {
        (Some(_), true) => may_ask(request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    if sender == Sender::Foreign {
        headers.remove(SET_COOKIE);
    }
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    vary_by_origin(headers);
    response
}

/// Whether a browser asks before the request itself.
fn asks_first(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: any header is allowed that is one.
fn may_ask(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    let names = |value: &&HeaderValue| {
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
        value.len() <= MAX_REQUESTED && value.as_bytes().iter().all(token)
    };
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(names) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    let vary = "Access-Control-Request-Method, Access-Control-Request-Headers";
    headers.insert(VARY, HeaderValue::from_static(vary));
    response
}

/// Every answer differs by origin, also one to a request without: a shared cache must not give one to the other.
fn vary_by_origin(headers: &mut HeaderMap) {
    let others: Vec<&str> = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).collect();
    let all = others.into_iter().chain(["Origin"]).collect::<Vec<_>>().join(", ");
    headers.insert(VARY, HeaderValue::from_str(&all).expect("parts of headers are a header's letters"));
}
