//! `/graphql`, and the schema as text.

use std::sync::Arc;

use atelier_graphql::Caller;
use atelier_graphql::caller::SessionCookie;
use atelier_graphql::once::SentKey;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::answer::{ApiError, ApiResult};
use super::auth::Identity;
use super::observe::RequestId;
use super::{Edge, auth, client};
use crate::graphql_transport::Call;

/// One GraphQL request. Introspection is for development, and for a signed-in caller (sec.R4).
pub async fn graphql(State(edge): State<Arc<Edge>>, request: Request) -> ApiResult<Response> {
    let trace_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let Ok(Identity { caller, stale_cookie }) = auth::identity(&edge, request.headers()).await else {
        return Ok(edge.graphql.unavailable(request.headers(), &trace_id));
    };
    let introspection = edge.development || matches!(caller, Caller::Session { .. });
    let origin = client::origin(&edge, &request);
    let sent = SentKey(super::rest::generate::idempotency_key(request.headers()).transpose());
    let (cookie, node) = (edge.cookie, edge.clone());
    let answered = edge.finish(async move {
        let call = Call { trace_id: &trace_id, introspection };
        node.graphql
            .handle(request, call, move |request| request.data(caller).data(cookie).data(origin).data(sent))
            .await
    });
    let mut response = answered.await?;
    if stale_cookie {
        take_back(response.headers_mut(), cookie);
    }
    Ok(response)
}

/// Takes a cookie back whose session does not count, unless the answer sets another in its place.
fn take_back(headers: &mut HeaderMap, cookie: SessionCookie) {
    let sets = |value: &HeaderValue| {
        value.as_bytes().strip_prefix(cookie.name().as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(sets) {
        let value = HeaderValue::from_str(&cookie.clear()).expect("a constant of a header's letters");
        headers.append(header::SET_COOKIE, value);
    }
}

/// The schema as text.
pub async fn schema(State(edge): State<Arc<Edge>>) -> ApiResult<Response> {
    if !edge.development {
        return Err(ApiError::not_found());
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], atelier_graphql::sdl()).into_response())
}
