//! The download of a copy of everything: for a session of its owner alone, and for everybody else as if there were none (U25).

use std::sync::Arc;

use atelier_commands::export_link;
use atelier_commands::ports::ExportKey;
use atelier_graphql::Caller;
use atelier_projections::models::data_exports::{self, ExportState};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Edge;
use super::answer::{ApiError, ApiResult};
use super::auth;
use super::page::page;

/// `GET /exports/{id}`: the zip, piece by piece.
pub async fn download(
    State(edge): State<Arc<Edge>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Ok(Path(id)) = id else { return Ok(nothing(&headers)) };
    let caller = auth::caller(&edge, &headers).await?;
    let (Caller::Session { account, .. }, Some(export)) = (caller, export_link::parse(&id)) else {
        return Ok(nothing(&headers));
    };
    let mut snapshot = edge.read.snapshot(&[data_exports::NAME], None).await?;
    let own = data_exports::of(&mut snapshot, account, edge.write.now()).await?;
    drop(snapshot);
    if !own.iter().any(|view| view.export == export && view.state == ExportState::Ready) {
        return Ok(nothing(&headers));
    }
    let found = edge.write.ports.media.get_export(ExportKey { account, export }).await.map_err(|error| {
        tracing::error!(%error, "a data export could not be fetched");
        ApiError::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
    })?;
    let Some((bytes, pieces)) = found else { return Ok(nothing(&headers)) };
    let name = format!("attachment; filename=\"atelier-{}.zip\"", export.0.simple());
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The same for a stranger, for nobody, and for a copy that is not there: a sentence for whoever followed a mail's link in a browser.
fn nothing(headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let answer = if accepted.contains("text/html") {
        let body = "<p>Sign in to the account that asked for it, in this browser, and open the link again. \
                    A copy can be fetched for seven days.</p>";
        page(StatusCode::NOT_FOUND, "There is nothing to download here", body)
    } else {
        ApiError::not_found().into_response()
    };
    ([(header::CACHE_CONTROL, "private, no-store")], answer).into_response()
}
