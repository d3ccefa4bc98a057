//! `/graphql`, GraphiQL, and the schema as text.

use std::sync::Arc;

use async_graphql::http::GraphiQLSource;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::answer::{ApiError, ApiResult};
use super::observe::RequestId;
use super::{Edge, auth, client};
use crate::graphql_transport::Call;

/// One GraphQL request. Introspection is for development, and for whoever is signed in (sec.R4).
pub async fn graphql(State(edge): State<Arc<Edge>>, request: Request) -> ApiResult<Response> {
    let caller = auth::caller(&edge, request.headers()).await?;
    let trace_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let introspection = edge.development || caller != atelier_graphql::Caller::Anonymous;
    let origin = client::origin(&edge, &request);
    let (cookie, node) = (edge.cookie, edge.clone());
    edge.finish(async move {
        let call = Call { trace_id: &trace_id, introspection };
        node.graphql.handle(request, call, move |request| request.data(caller).data(cookie).data(origin)).await
    })
    .await
}

/// The schema as text.
pub async fn schema(State(edge): State<Arc<Edge>>) -> ApiResult<Response> {
    if !edge.development {
        return Err(ApiError::not_found());
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], atelier_graphql::sdl()).into_response())
}

/// GraphiQL, in development.
pub async fn graphiql() -> Html<String> {
    Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql/ws").title("atelier").finish())
}
