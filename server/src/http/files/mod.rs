//! Files by HTTP: outputs, avatars and copies of everything, whole or in part, streamed from the store in bounded memory.
//!
//! Memory for each reader is bounded by what hyper queues before it is written: at most 16 pieces of a body, so pieces are small (the test
//! `media::readers` measures it). A connection whose client does not read is closed by `write_timeout`.

pub mod avatars;
mod conditions;
pub mod exports;
pub mod media;

use atelier_commands::ports::{GatewayError, MediaObject, Pieces, Stored};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::Edge;
use super::answer::{ApiError, ApiResult};
use conditions::Wanted;

/// The most bytes of one piece of a body.
const PIECE: usize = 2 * 1024;

/// How a file is answered.
struct File {
    object: MediaObject,
    /// Fit for a header.
    media_type: String,
    /// `attachment` or `inline`, and the name under which it is saved: letters, digits, `-` and `.` only, so that it needs no escapes.
    disposition: String,
    /// A strong entity tag, without its quotes: other bytes have another tag.
    tag: String,
    /// The `Cache-Control` header.
    cache: String,
}

fn unavailable(error: &GatewayError) -> ApiError {
    tracing::error!(%error, "the media store did not answer");
    ApiError::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
}

async fn find(edge: &Edge, object: &MediaObject) -> ApiResult<Option<Stored>> {
    edge.write.ports.media.find(object).await.map_err(|error| unavailable(&error))
}

/// The answer to a request for a file that is in the store; `None` when it went in between.
async fn send(
    edge: &Edge,
    method: &Method,
    headers: &HeaderMap,
    file: File,
    stored: Stored,
) -> ApiResult<Option<Response>> {
    let Stored { bytes, .. } = stored;
    let about = [(header::ETAG, format!("\"{}\"", file.tag)), (header::CACHE_CONTROL, file.cache)];
    let (status, range) = match conditions::wanted(method, headers, &file.tag, bytes) {
        Wanted::Whole => (StatusCode::OK, 0..bytes),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::NotModified => {
            // Said here, because it would be that of the empty answer otherwise.
            let length = [(header::CONTENT_LENGTH, bytes.to_string())];
            return Ok(Some((StatusCode::NOT_MODIFIED, about, length).into_response()));
        }
        Wanted::OtherVersion => {
            let message = "The file is another version than was asked for.";
            return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", message));
        }
        Wanted::OutOfRange => {
            let message = format!("The file has {bytes} bytes.");
            let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", message);
            return Ok(Some(([(header::CONTENT_RANGE, format!("bytes */{bytes}"))], error).into_response()));
        }
    };
    let place = format!("bytes {}-{}/{bytes}", range.start, range.end.saturating_sub(1));
    let described: [(HeaderName, String); 6] = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
        (header::CONTENT_DISPOSITION, file.disposition),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // Opened in a tab, an HTML or SVG file must not run scripts.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        match edge.write.ports.media.read(&file.object, range).await.map_err(|error| unavailable(&error))? {
            Some(pieces) => body(pieces),
            None => return Ok(None),
        }
    };
    let whole = (status, about, described, body);
    Ok(Some(match status {
        StatusCode::PARTIAL_CONTENT => ([(header::CONTENT_RANGE, place)], whole.into_response()).into_response(),
        _ => whole.into_response(),
    }))
}

/// The pieces of a file, cut small. An error ends the connection: the client sees that it has not all of it.
fn body(pieces: Pieces) -> Body {
    Body::from_stream(pieces.flat_map(|piece| {
        let cut: Vec<Result<Bytes, GatewayError>> = match piece {
            Ok(piece) => {
                (0..piece.len()).step_by(PIECE).map(|at| Ok(piece.slice(at..piece.len().min(at + PIECE)))).collect()
            }
            Err(error) => {
                tracing::error!(%error, "a file could not be read to its end");
                vec![Err(error)]
            }
        };
        stream::iter(cut)
    }))
}

/// The answer; an error is not to be cached, because a file that is not there may come back.
fn uncached_errors(answer: ApiResult<Response>) -> Response {
    answer.unwrap_or_else(|error| ([(header::CACHE_CONTROL, "no-store")], error).into_response())
}
