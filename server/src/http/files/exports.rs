//! The download of a copy of everything: for a session of its owner alone, and for everybody else as if there were none (U25).

use std::sync::Arc;

use atelier_commands::export_link;
use atelier_commands::ports::{ExportKey, MediaObject};
use atelier_graphql::Caller;
use atelier_projections::models::data_exports::{self, ExportState};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{File, find, send};
use crate::http::Edge;
use crate::http::answer::{ApiError, ApiResult};
use crate::http::auth;
use crate::http::page::page;

/// `GET /exports/{id}`: the zip, or the rest of it after a download that was cut off.
pub async fn download(
    State(edge): State<Arc<Edge>>,
    id: Result<Path<String>, PathRejection>,
    method: Method,
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
    let object = MediaObject::Export(ExportKey { account, export });
    let Some(stored) = find(&edge, &object).await? else { return Ok(nothing(&headers)) };
    let id = export.0.simple();
    let file = File {
        object,
        media_type: "application/zip".to_owned(),
        disposition: format!("attachment; filename=\"atelier-{id}.zip\""),
        // A worker whose lease ran out may still write the copy once more, with other bytes.
        tag: format!("{id}-{:x}", stored.written_at.timestamp_micros()),
        cache: "private, no-store".to_owned(),
    };
    Ok(send(&edge, &method, &headers, file, stored).await?.unwrap_or_else(|| nothing(&headers)))
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
