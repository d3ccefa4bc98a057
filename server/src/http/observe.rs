//! What every answer carries and every request leaves behind: an id, a log line, counters. Routes only, never paths or queries:
//! those may hold tokens.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::Edge;

/// The header of a request's id. A client's own is given back when it is harmless. It is used here, in log lines and trace ids, only when it is
/// a UUID: any other text may say something about somebody, and log lines outlive an account.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A year, for this host alone: what else its domain has is not ours to say.
const HSTS: &str = "max-age=31536000";

/// A request's id in log lines and errors.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

fn presented(request: &Request) -> Option<String> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    ((1..=64).contains(&text.len()) && text.bytes().all(harmless)).then(|| text.to_owned())
}

/// The middleware around every route.
pub async fn observe(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let presented = presented(&request);
    let own = presented.as_ref().filter(|text| text.len() == 36 && uuid::Uuid::parse_str(text).is_ok());
    let id = own.cloned().unwrap_or_else(|| edge.write.fresh_id().to_string());
    request.extensions_mut().insert(RequestId(id.clone()));
    // A client may make methods up; a label must not.
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let mut response = next.run(request).await;
    let (status, seconds) = (response.status(), started.elapsed().as_secs_f64());
    tracing::info!(request_id = %id, method, route, status = status.as_u16(), ms = (seconds * 1_000.0).round(), "request");
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.as_u16().to_string())];
    metrics::counter!("atelier_http_requests_total", &labels).increment(1);
    metrics::histogram!("atelier_http_request_seconds", &labels[..2]).record(seconds);
    if let Ok(value) = HeaderValue::from_str(presented.as_ref().unwrap_or(&id)) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().entry("x-content-type-options").or_insert(HeaderValue::from_static("nosniff"));
    if edge.cookie.secure {
        // Clients reach it by https alone, and shall not try otherwise (RFC 6797).
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    response
}
