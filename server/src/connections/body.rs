//! Bodies that say when a connection waits for its client: while the request's arrives, and once the answer is through.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::places::Place;

/// The body of a request, which must be there within a time.
pub struct Arriving {
    body: Incoming,
    place: Arc<Place>,
    deadline: Pin<Box<Sleep>>,
    late: CancellationToken,
}

impl Arriving {
    /// A body that cancels `late` when it has not ended within the time and is still asked for.
    pub fn new(body: Incoming, place: Arc<Place>, within: Duration, late: CancellationToken) -> Self {
        Self { body, place, deadline: Box::pin(sleep(within)), late }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let arrived = Pin::new(&mut self.body).poll_frame(context);
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
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
