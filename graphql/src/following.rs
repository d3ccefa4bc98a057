//! How a subscription follows what it is about: read at once, then again whenever a row may have changed, and told only if it has.

use async_graphql::Result;
use atelier_projections::Interest;
use futures::Stream;
use futures::stream::unfold;

/// What a read found.
pub(crate) enum Told<T> {
    /// Something to tell.
    New(T),
    /// Nothing that was not told before.
    Same,
    /// Something to tell, and nothing will follow.
    Last(T),
}

/// Something that is followed.
pub(crate) trait Followed: Send {
    /// What its subscriber is told.
    type Event: Send;

    /// Reads it as it is now.
    fn read(&mut self) -> impl Future<Output = Result<Told<Self::Event>>> + Send;
}

/// The events of a subscription. The interest is there before the first read, so that nothing falls between the two. Nothing is read
/// before its event is asked for: what happens meanwhile is one event, and a slow client costs nothing. A read that fails is the last:
/// the client comes again, with its last position.
pub(crate) fn follow<F: Followed>(interest: Interest, followed: F) -> impl Stream<Item = Result<F::Event>> + Send {
    unfold(Some((interest, followed, true)), |state| async move {
        let (interest, mut followed, mut at_once) = state?;
        loop {
            if !std::mem::take(&mut at_once) {
                interest.woken().await;
            }
            match followed.read().await {
                Ok(Told::Same) => {}
                Ok(Told::New(event)) => return Some((Ok(event), Some((interest, followed, false)))),
                Ok(Told::Last(event)) => return Some((Ok(event), None)),
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use atelier_domain::AccountId;
    use atelier_projections::{Changes, Topic};
    use futures::StreamExt;
    use uuid::Uuid;

    use super::*;

    const TOPIC: Topic = Topic::Notices(AccountId(Uuid::from_u128(7)));

    /// Something that changes while it is read for the first time.
    struct Restless {
        changes: Arc<Changes>,
        reads: u32,
    }

    impl Followed for Restless {
        type Event = u32;

        async fn read(&mut self) -> Result<Told<u32>> {
            self.reads += 1;
            if self.reads == 1 {
                self.changes.wake(TOPIC);
            }
            Ok(Told::New(self.reads))
        }
    }

    #[tokio::test]
    async fn d6_a_change_during_the_first_read_is_read_again() {
        let changes = Arc::new(Changes::default());
        let restless = Restless { changes: changes.clone(), reads: 0 };
        let events = follow(changes.of(TOPIC), restless).take(2).map(|event| event.expect("it can be read"));
        let told = tokio::time::timeout(Duration::from_secs(20), events.collect::<Vec<u32>>()).await;
        assert_eq!(told.expect("it is not missed"), [1, 2]);
        assert_eq!(changes.accounts_of_notices(), [], "nobody waits any more");
    }
}
