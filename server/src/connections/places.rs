//! The places of connections: how many are taken, and which of them wait for their clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long the end of a connection that gives way is waited for.
const GIVING_WAY: Duration = Duration::from_secs(1);

/// All places of a listener.
pub struct Places {
    most: usize,
    overflow: usize,
    register: Mutex<Register>,
    freed: Notify,
}

#[derive(Default)]
struct Register {
    taken: usize,
    beyond: usize,
    turn: u64,
    /// Who waits for its client, the longest first.
    waiting: BTreeMap<u64, CancellationToken>,
}

/// A place, until dropped.
pub struct Place {
    of: Arc<Places>,
    beyond: bool,
    waiting: Mutex<Waiting>,
    evicted: CancellationToken,
}

/// What a connection waits for.
#[derive(Default)]
struct Waiting {
    /// A request, or more of its body.
    to_hear: bool,
    /// That the client takes what is sent.
    to_send: bool,
    /// Its turn among those who wait, while it does.
    turn: Option<u64>,
}

impl Places {
    /// So many places, and so many more for those who are turned away.
    pub fn new(most: usize, overflow: usize) -> Self {
        Self { most, overflow, register: Mutex::default(), freed: Notify::new() }
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection: a free one, else that of whoever waits longest for its client, else one beyond the bound; none when
    /// those are taken as well.
    pub async fn enter(self: &Arc<Self>) -> Option<Place> {
        if let Some(place) = self.take() {
            return Some(place);
        }
        let longest = self.register().waiting.pop_first();
        if let Some((_, evict)) = longest {
            metrics::counter!("atelier_http_connections_evicted_total").increment(1);
            // Enabled before the eviction, so that its word is not missed.
            let freed = self.freed.notified();
            evict.cancel();
            // It frees its place at once, unless something holds its task up; then this one is turned away.
            let _ = tokio::time::timeout(GIVING_WAY, freed).await;
            if let Some(place) = self.take() {
                return Some(place);
            }
        }
        self.take_beyond()
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let mut register = self.register();
        if register.taken >= self.most {
            return None;
        }
        register.taken += 1;
        drop(register);
        metrics::gauge!("atelier_http_connections_open").increment(1.0);
        Some(self.place(false))
    }

    fn take_beyond(self: &Arc<Self>) -> Option<Place> {
        let mut register = self.register();
        if register.beyond >= self.overflow {
            return None;
        }
        register.beyond += 1;
        drop(register);
        Some(self.place(true))
    }

    /// It waits for its client from the start.
    fn place(self: &Arc<Self>, beyond: bool) -> Place {
        let place = Place { of: self.clone(), beyond, waiting: Mutex::default(), evicted: CancellationToken::new() };
        place.waits();
        place
    }
}

impl Place {
    /// Cancelled when it must give way.
    pub fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }

    /// Whether it is beyond the bound.
    pub const fn is_beyond(&self) -> bool {
        self.beyond
    }

    /// It waits for a request from now on, or for more of one.
    pub fn waits(&self) {
        self.change(|waiting| waiting.to_hear = true);
    }

    /// It has heard what it waited for.
    pub fn works(&self) {
        self.change(|waiting| waiting.to_hear = false);
    }

    /// Whether the client takes what is sent, or lets it wait.
    pub fn sends(&self, stalled: bool) {
        self.change(|waiting| waiting.to_send = stalled);
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        let waits = (waiting.to_hear || waiting.to_send) && !self.beyond;
        if waits == waiting.turn.is_some() {
            return;
        }
        let mut register = self.of.register();
        match waiting.turn.take() {
            Some(turn) => drop(register.waiting.remove(&turn)),
            None => {
                register.turn += 1;
                let now = register.turn;
                register.waiting.insert(now, self.evicted.clone());
                waiting.turn = Some(now);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.change(|waiting| (waiting.to_hear, waiting.to_send) = (false, false));
        let mut register = self.of.register();
        if self.beyond {
            register.beyond -= 1;
        } else {
            register.taken -= 1;
            metrics::gauge!("atelier_http_connections_open").decrement(1.0);
        }
        drop(register);
        self.of.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that ends as soon as it must give way.
    fn yielding(place: Place) -> tokio::task::JoinHandle<()> {
        let evicted = place.evicted();
        tokio::spawn(async move {
            evicted.cancelled().await;
            drop(place);
        })
    }

    #[tokio::test]
    async fn whoever_waits_longest_gives_way_and_who_works_never_does() {
        let places = Arc::new(Places::new(2, 1));
        let (first, second) = (places.enter().await.unwrap(), places.enter().await.unwrap());
        first.works();
        let gone = yielding(second);
        let third = places.enter().await.unwrap();
        gone.await.unwrap();
        assert!(!third.is_beyond() && !first.evicted().is_cancelled());
        // It waits again, but the third has waited longer.
        first.waits();
        let (other, gone) = (first.evicted(), yielding(third));
        let fourth = places.enter().await.unwrap();
        gone.await.unwrap();
        assert!(!fourth.is_beyond() && !other.is_cancelled());
    }

    #[tokio::test]
    async fn when_all_work_a_few_are_turned_away_and_the_rest_are_not_heard() {
        let places = Arc::new(Places::new(1, 1));
        let only = places.enter().await.unwrap();
        only.works();
        let beyond = places.enter().await.unwrap();
        assert!(beyond.is_beyond());
        assert!(places.enter().await.is_none());
        drop(beyond);
        assert!(places.enter().await.is_some_and(|place| place.is_beyond()));
        drop(only);
        assert!(places.enter().await.is_some_and(|place| !place.is_beyond()));
    }
}
