//! Downloads of outputs: the link is ours and alive, and the job has not been deleted (A30, U06).

use std::sync::Arc;

use atelier_commands::media_link;
use atelier_domain::GenerationId;
use atelier_projections::models::creations;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Edge;
use super::answer::{ApiError, ApiResult};

/// What a link carries.
#[derive(Deserialize)]
pub struct Link {
    expires: Option<i64>,
    signature: Option<String>,
}

/// Serves one file.
pub async fn download(
    State(edge): State<Arc<Edge>>,
    object: Result<Path<String>, PathRejection>,
    link: Result<Query<Link>, QueryRejection>,
) -> ApiResult<Response> {
    let invalid = || ApiError::new(StatusCode::FORBIDDEN, "invalid_link", "This link is not valid any more.");
    let (Ok(Path(object)), Ok(Query(link))) = (object, link) else { return Err(invalid()) };
    let signed = link.expires.zip(link.signature);
    let ours = signed.is_some_and(|(expires, signature)| media_link::verify(&edge.write, &object, expires, &signature));
    let generation = object.split('/').nth(1).and_then(|id| id.parse::<GenerationId>().ok());
    let (true, Some(generation)) = (ours, generation) else {
        return Err(invalid());
    };
    let mut snapshot = edge.read.snapshot(&[creations::NAME], None).await?;
    let gone = || ApiError::new(StatusCode::GONE, "gone", "This was deleted.");
    let found = creations::find(&mut snapshot, generation).await?.ok_or_else(gone)?;
    drop(snapshot);
    let output = found.outputs.into_iter().find(|output| output.object == object).ok_or_else(gone)?;
    let bytes = edge.write.ports.media.get(&object).await.map_err(|error| {
        tracing::error!(%error, "an output could not be fetched");
        ApiError::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
    })?;
    let bytes = bytes.ok_or_else(gone)?;
    let name = object.rsplit('/').next().unwrap_or_default();
    let name = format!("attachment; filename=\"atelier-{}-{name}\"", generation.0.simple());
    let headers = [
        (header::CONTENT_TYPE, output.media_type),
        // Shown in an <img> all the same; opened by hand it is saved under a right name.
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "private, max-age=3600".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}
