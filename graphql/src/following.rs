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
