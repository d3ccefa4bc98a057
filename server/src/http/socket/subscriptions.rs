//! The subscriptions of one socket. None runs ahead: a stream is asked for its next event once the one before was sent, so nothing is
//! kept for a client that does not take it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use async_graphql::Response;
use futures::StreamExt;
use futures::future::poll_fn;
use futures::stream::BoxStream;

/// What a subscription gave.
pub enum Given {
    /// An event.
    Event(Response),
    /// Its end.
    End,
    /// It panicked, and is over.
    Panic,
}

/// The subscriptions, the one that was heard last at the end.
#[derive(Default)]
pub struct Subscriptions(Vec<(String, BoxStream<'static, Response>)>);

impl Subscriptions {
    /// Whether there is one of this id.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Begins one.
    pub fn begin(&mut self, id: String, events: BoxStream<'static, Response>) {
        self.0.push((id, events));
    }

    /// Ends one; there may be none of this id any more.
    pub fn end(&mut self, id: &str) {
        self.0.retain(|(known, _)| known != id);
    }

    /// What any of them gives next; those that are over are gone. Not asked again, it has taken nothing.
    pub async fn next(&mut self) -> (String, Given) {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(String, Given)> {
        for place in 0..self.0.len() {
            let events = &mut self.0[place].1;
            let polled = catch_unwind(AssertUnwindSafe(|| events.poll_next_unpin(context)));
            let given = match polled {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(Some(event))) => Given::Event(event),
                Ok(Poll::Ready(None)) => Given::End,
                Err(_panic) => Given::Panic,
            };
            let (id, events) = self.0.remove(place);
            if let Given::Event(_) = &given {
                // Behind the others, so that a busy one leaves them room.
                self.0.push((id.clone(), events));
            }
            return Poll::Ready((id, given));
        }
        Poll::Pending
    }
}
