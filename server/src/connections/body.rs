//! Bodies that say when a connection waits for its client: while the request's arrives, and once the answer is through.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::future::poll_fn;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::places::Place;

/// How much of a body that nobody wants is read and dropped.
const DROPPED: usize = 16 << 20;
/// How long the next part of it may take.
const NEXT_PART: Duration = Duration::from_millis(250);
/// How long all of it may take.
const ALL_PARTS: Duration = Duration::from_secs(2);

/// What a handler has left of a request's body.
#[derive(Clone, Default)]
pub struct Unread(Arc<Mutex<Option<Incoming>>>);

impl Unread {
    /// Reads and drops it, within bounds, before the answer is sent: a client that is still sending does not look for an answer, and loses
    /// the one that was sent to it when the connection is closed over what it sends.
    pub async fn drop_rest(&self, place: &Place) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut rest) = rest else { return };
        place.waits();
        let all = async {
            let mut dropped = 0;
            while dropped < DROPPED {
                let part = timeout(NEXT_PART, poll_fn(|context| Pin::new(&mut rest).poll_frame(context))).await;
                let Ok(Some(Ok(part))) = part else { return };
                dropped += part.data_ref().map_or(0, Bytes::len);
            }
        };
        let _ = timeout(ALL_PARTS, all).await;
        place.works();
    }
}

/// The body of a request, which must be there within a time.
pub struct Arriving {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// Where it goes then, if more of it may come.
    unread: Unread,
    /// Whether the client sends it unasked: one that expects a word first is not given it for nothing.
    unasked: bool,
    place: Arc<Place>,
    deadline: Pin<Box<Sleep>>,
    late: CancellationToken,
}

impl Arriving {
    /// A body that cancels `late` when it has not ended within the time and is still asked for.
    pub fn new(
        body: Incoming,
        unasked: bool,
        unread: Unread,
        place: Arc<Place>,
        within: Duration,
        late: CancellationToken,
    ) -> Self {
        Self { body: Some(body), unread, unasked, place, deadline: Box::pin(sleep(within)), late }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let arrived = Pin::new(body).poll_frame(context);
        self.unasked = true;
        if arrived.is_pending() {
            self.place.waits();
        } else {
            self.place.works();
        }
        // Also of a client that sends a little now and then.
        let ended = matches!(arrived, Poll::Ready(None));
        if !ended && (self.deadline.is_elapsed() || self.deadline.as_mut().poll(context).is_ready()) {
            self.late.cancel();
            return Poll::Pending;
        }
        arrived
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| self.unasked && !body.is_end_stream()) {
            *self.unread.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

/// The body of an answer; when it is through, the connection waits for the next request.
pub struct Answering {
    body: Body,
    place: Arc<Place>,
}

impl Answering {
    /// A body that says so when it is dropped.
    pub const fn new(body: Body, place: Arc<Place>) -> Self {
        Self { body, place }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.place.waits();
    }
}
