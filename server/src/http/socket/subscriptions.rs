//! The subscriptions of one socket, each in a task of its own: what it reads is read to its end whether or not the client takes what the
//! others have, so that no slow client stands on a connection of the pool. None runs ahead: the next event is asked for once the one
//! before was taken, so at most one each waits for a client.

use std::task::{Context, Poll};

use async_graphql::Response;
use futures::StreamExt;
use futures::future::poll_fn;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

/// What a subscription gave.
pub enum Given {
    /// An event.
    Event(Box<Response>),
    /// Its end.
    End,
    /// It panicked, and is over.
    Panic,
}

/// The subscriptions, the one that was heard last at the end.
#[derive(Default)]
pub struct Subscriptions(Vec<(String, mpsc::Receiver<Given>)>);

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
        let (tell, told) = mpsc::channel(1);
        // It ends with its receiver.
        tokio::spawn(ask(events, tell));
        self.0.push((id, told));
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
            let Poll::Ready(given) = self.0[place].1.poll_recv(context) else { continue };
            let (id, told) = self.0.remove(place);
            // One that is over says so before it goes.
            let given = given.unwrap_or(Given::Panic);
            if let Given::Event(_) = &given {
                // Behind the others, so that a busy one leaves them room.
                self.0.push((id.clone(), told));
            }
            return Poll::Ready((id, given));
        }
        Poll::Pending
    }
}

/// Asks a subscription for one event after the other, each once there is room for it, until nobody listens.
async fn ask(mut events: BoxStream<'static, Response>, tell: mpsc::Sender<Given>) {
    loop {
        let Ok(room) = tell.reserve().await else { return };
        let event = tokio::select! {
            event = events.next() => event,
            () = tell.closed() => return,
        };
        match event {
            Some(event) => room.send(Given::Event(Box::new(event))),
            None => return room.send(Given::End),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::stream;

    use super::*;

    fn events(of: Vec<Option<&'static str>>) -> BoxStream<'static, Response> {
        let event = |text: Option<&'static str>| Response::new(text.expect("planted by the test"));
        stream::iter(of).map(event).boxed()
    }

    async fn next(subscriptions: &mut Subscriptions) -> String {
        match subscriptions.next().await {
            (id, Given::Event(response)) => format!("{id} {}", response.data),
            (id, Given::End) => format!("{id} ends"),
            (id, Given::Panic) => format!("{id} panics"),
        }
    }

    #[tokio::test]
    async fn d6_each_gives_its_events_in_order_and_says_how_it_ends() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.begin("a".to_owned(), events(vec![Some("1"), Some("2")]));
        assert_eq!(next(&mut subscriptions).await, "a \"1\"");
        assert_eq!(next(&mut subscriptions).await, "a \"2\"");
        assert!(subscriptions.has("a"));
        assert_eq!(next(&mut subscriptions).await, "a ends");
        subscriptions.begin("b".to_owned(), events(vec![Some("1"), None]));
        assert_eq!(next(&mut subscriptions).await, "b \"1\"");
        assert_eq!(next(&mut subscriptions).await, "b panics");
        assert_eq!(subscriptions.count(), 0);
    }

    #[tokio::test]
    async fn d6_none_runs_ahead_of_its_client_and_none_goes_on_without_one() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let endless = stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Response::new("x")
        });
        let (tell, mut told) = mpsc::channel(1);
        let asking = tokio::spawn(ask(endless.boxed(), tell));
        for taken in 1..=3 {
            assert!(matches!(told.recv().await, Some(Given::Event(_))));
            // At most the one that waits, and none behind it.
            tokio::task::yield_now().await;
            assert!(asked.load(Ordering::SeqCst) <= taken + 1);
        }
        drop(told);
        asking.await.expect("it ends by itself");
    }
}
