//! Downloads of outputs: the link is ours and alive, and the job has not been deleted (A30, U06).

use std::sync::Arc;

use atelier_commands::media_link::{self, OpenedLink, OutputName};
use atelier_commands::media_types;
use atelier_commands::ports::MediaObject;
use atelier_domain::GenerationId;
use atelier_domain::generation::Output;
use atelier_projections::models::creations;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::{File, find, send, uncached_errors};
use crate::http::Edge;
use crate::http::answer::{ApiError, ApiResult};

/// What a link carries beside the output.
#[derive(Deserialize)]
pub struct Link {
    expires: Option<i64>,
    signature: Option<String>,
}

/// `GET /media/{id}`: one output.
pub async fn download(
    State(edge): State<Arc<Edge>>,
    method: Method,
    id: Result<Path<String>, PathRejection>,
    link: Result<Query<Link>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let opened = signed(link)
        .zip(id.ok())
        .and_then(|((expires, signature), Path(id))| media_link::open(&edge.write, &id, expires, &signature));
    uncached_errors(serve(&edge, &method, &headers, opened).await)
}

/// `GET /media/{account}/{generation}/{attempt}/{file}`: a link of the release before, until it ends.
pub async fn download_former(
    State(edge): State<Arc<Edge>>,
    method: Method,
    path: Result<Path<[String; 4]>, PathRejection>,
    link: Result<Query<Link>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let opened = signed(link).zip(path.ok()).and_then(|((expires, signature), Path(parts))| {
        media_link::open_former(&edge.write, &parts.join("/"), expires, &signature)
    });
    uncached_errors(serve(&edge, &method, &headers, opened).await)
}

fn signed(link: Result<Query<Link>, QueryRejection>) -> Option<(i64, String)> {
    let Query(Link { expires, signature }) = link.ok()?;
    expires.zip(signature)
}

async fn serve(edge: &Edge, method: &Method, headers: &HeaderMap, opened: Option<OpenedLink>) -> ApiResult<Response> {
    let invalid = || ApiError::new(StatusCode::FORBIDDEN, "invalid_link", "This link is not valid any more.");
    let OpenedLink { generation, output: which, until } = opened.ok_or_else(invalid)?;
    let mut snapshot = edge.read.snapshot(&[creations::NAME], None).await?;
    let found = creations::behind_link(&mut snapshot, generation).await?.ok_or_else(gone)?;
    drop(snapshot);
    let output = |(index, output): &(u32, Output)| match &which {
        OutputName::Index(asked) => asked == index,
        OutputName::Path(path) => *path == output.object,
    };
    let (index, output) = (0..).zip(found.outputs).find(output).ok_or_else(gone)?;
    let media_type = media_types::canonical(&output.media_type);
    let extension = media_types::extension(&media_type);
    let file = File {
        object: MediaObject::Output(output.object),
        media_type,
        // Shown in an <img> all the same; opened by hand it is saved under a right name.
        disposition: format!("attachment; filename=\"atelier-{}-{index}.{extension}\"", generation.0.simple()),
        // Outputs are immutable, so their id is a strong tag.
        tag: edge.write.secrets.media_id(generation, index),
        cache: format!("private, max-age={}", (until - edge.write.now()).num_seconds().max(0)),
    };
    let sent = match find(edge, &file.object).await? {
        Some(stored) => send(edge, method, headers, file, stored).await?,
        None => None,
    };
    match sent {
        Some(answer) => Ok(answer),
        None => Err(missing(edge, generation).await?),
    }
}

fn gone() -> ApiError {
    ApiError::new(StatusCode::GONE, "gone", "This was deleted.")
}

/// Why a file is not in the store: it was deleted a moment ago, which the read model does not know yet, or it is lost.
async fn missing(edge: &Edge, generation: GenerationId) -> ApiResult<ApiError> {
    if media_link::is_deleted(&edge.write, generation).await? {
        return Ok(gone());
    }
    tracing::error!(%generation, "an output is lost: its job was not deleted, and its file is not in the store");
    metrics::counter!("atelier_media_lost_total").increment(1);
    Ok(ApiError::not_found())
}
