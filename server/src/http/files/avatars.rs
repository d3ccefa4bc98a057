//! Avatars by HTTP: the upload behind a one-time ticket, and the squares for everybody (A04, A05, A10, sec.U3).

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::avatar_link;
use atelier_commands::ports::{AVATAR_MEDIA_TYPE, AvatarKey, MediaObject};
use atelier_commands::use_cases::{UploadAvatar, UploadedAvatar};
use atelier_domain::Actor;
use atelier_domain::policy::account::AVATAR_BYTES;
use atelier_graphql::Caller;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::{Map, json};

use super::{File, find, send, uncached_errors};
use crate::http::Edge;
use crate::http::answer::{ApiError, ApiResult};
use crate::http::auth;

/// How long the file may take to arrive; within one use of a ticket.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a file that is too large is read and dropped, so that its sender reads our answer: a client that is still sending does
/// not look.
const DROPPED: u64 = 4 * AVATAR_BYTES as u64;

/// `PUT /uploads/avatar/{ticket}`: the body is the file.
pub async fn upload(
    State(edge): State<Arc<Edge>>,
    ticket: Result<Path<String>, PathRejection>,
    request: Request,
) -> ApiResult<Response> {
    let Ok(Path(ticket)) = ticket else { return Err(ApiError::not_found()) };
    let caller = match auth::caller(&edge, request.headers()).await? {
        Caller::Session { account, .. } => Some(account),
        Caller::Anonymous | Caller::Ended => None,
    };
    let begun = UploadAvatar { ticket, caller }.begin(&edge.write).await?;
    let node = edge.clone();
    // To its end, whether or not the client waits: a ticket that was taken is put back or used.
    let uploaded = edge.finish(async move {
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let read = tokio::time::timeout(PATIENCE, file(request.into_body(), announced)).await;
        let late = || ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The file did not arrive in time.");
        match read.unwrap_or_else(|_| Err(late())) {
            Ok(bytes) => {
                let context = node.write.request_context(Actor::Account(begun.account()));
                Ok(begun.finish(&node.write, &context, bytes).await?)
            }
            Err(error) => {
                begun.put_back(&node.write).await;
                Err(error)
            }
        }
    });
    let UploadedAvatar { account, avatar, position } = uploaded.await??;
    let url = |size: &u32| Some((size.to_string(), avatar_link::url(&edge.write, account, &avatar, *size)?.into()));
    let urls: Map<_, _> = avatar.sizes.iter().filter_map(url).collect();
    let body = json!({ "success": true, "urls": urls, "position": edge.read.token(position) });
    Ok(axum::Json(body).into_response())
}

/// The whole file, if it is small enough; no more than that is ever kept.
async fn file(body: Body, announced: Option<u64>) -> ApiResult<Bytes> {
    let most = AVATAR_BYTES as u64;
    let (mut arrived, mut kept) = (0_u64, BytesMut::new());
    let mut parts = body.into_data_stream();
    // Far too large: not even read.
    if announced.is_none_or(|announced| announced <= DROPPED) {
        while let Some(part) = parts.next().await {
            let broken =
                |_| ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", "The file did not arrive whole.");
            let part = part.map_err(broken)?;
            arrived += part.len() as u64;
            if arrived > DROPPED {
                break;
            }
            if arrived > most || announced.is_some_and(|announced| announced > most) {
                kept = BytesMut::new();
            } else {
                kept.extend_from_slice(&part);
            }
        }
    }
    if arrived.max(announced.unwrap_or(0)) > most {
        let message = format!("The file may have {most} bytes (5 MiB).");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "image_too_large", message).with("max_bytes", most));
    }
    if kept.is_empty() {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "missing_image", "The body must be the image file."));
    }
    Ok(kept.freeze())
}

/// `GET /avatars/{id}/{edge}`: one square, for everybody and for ever; gone once its owner shows another.
pub async fn show(
    State(edge): State<Arc<Edge>>,
    method: Method,
    link: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let key = link.ok().and_then(|Path((id, size))| avatar_link::parse(&edge.write, &id, &size));
    uncached_errors(square(&edge, &method, &headers, key).await)
}

/// `GET /avatars/{account}/{avatar}/{edge}`: a link of an earlier release, which was good for ever.
pub async fn show_former(
    State(edge): State<Arc<Edge>>,
    method: Method,
    link: Result<Path<(String, String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let key = link.ok().and_then(|Path((account, avatar, size))| avatar_link::parse_former(&account, &avatar, &size));
    uncached_errors(square(&edge, &method, &headers, key).await)
}

async fn square(edge: &Edge, method: &Method, headers: &HeaderMap, key: Option<AvatarKey>) -> ApiResult<Response> {
    let key = key.ok_or_else(ApiError::not_found)?;
    let file = File {
        object: MediaObject::Avatar(key),
        media_type: AVATAR_MEDIA_TYPE.to_owned(),
        disposition: format!("inline; filename=\"avatar-{}.png\"", key.edge),
        // Each upload has an id of its own, so the id is a strong tag.
        tag: format!("{}-{}", edge.write.secrets.avatar_link_id(key.account, key.avatar), key.edge),
        cache: "public, max-age=31536000, immutable".to_owned(),
    };
    let stored = find(edge, &file.object).await?.ok_or_else(ApiError::not_found)?;
    send(edge, method, headers, file, stored).await?.ok_or_else(ApiError::not_found)
}
