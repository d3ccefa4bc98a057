//! A warm aggregate: its state with every append this node has on its way, and how far those are durable.

use std::sync::atomic::{AtomicUsize, Ordering};

use atelier_domain::EventId;
use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, watch};

use crate::event_store::Position;

/// The state commands are decided on: the log's, and on top of it what this node has sent and not yet heard of.
#[derive(Debug, Clone)]
pub(super) struct Warm<A> {
    pub state: A,
    /// The sequence of the last event applied; 0 when there is none.
    pub sequence: i64,
    /// Its id.
    pub last_event: Option<EventId>,
    /// Its instant.
    pub decided_at: Option<DateTime<Utc>>,
    /// What the slot's epoch was when the state was read from the log.
    pub epoch: u64,
    /// And the era of the log.
    pub era: u64,
    /// Events applied since the last snapshot.
    pub since_snapshot: usize,
}

impl<A: Default> Default for Warm<A> {
    fn default() -> Self {
        Self {
            state: A::default(),
            sequence: 0,
            last_event: None,
            decided_at: None,
            epoch: 0,
            era: 0,
            since_snapshot: 0,
        }
    }
}

/// How far a slot's appends are durable. An append that failed ends the epoch: every state that stands on it is void.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub epoch: u64,
    pub sequence: i64,
    pub position: Position,
}

/// One aggregate's place in the cache. Whoever holds `warm` decides; they come in the order in which they asked.
#[derive(Debug)]
pub(super) struct Slot<A> {
    pub warm: Mutex<Option<Warm<A>>>,
    settled: watch::Sender<Settled>,
    counted: AtomicUsize,
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self { warm: Mutex::new(None), settled: watch::Sender::new(Settled::default()), counted: AtomicUsize::new(0) }
    }
}

impl<A> Slot<A> {
    pub(super) fn settled(&self) -> Settled {
        *self.settled.borrow()
    }

    /// Everything up to this sequence is durable, unless the epoch has ended meanwhile.
    pub(super) fn settle(&self, epoch: u64, sequence: i64, position: Position) {
        self.settled.send_if_modified(|settled| {
            let news = settled.epoch == epoch && settled.sequence <= sequence;
            if news {
                *settled = Settled { epoch, sequence, position };
            }
            news
        });
    }

    /// Ends the epoch: the next command reads the log.
    pub(super) fn void(&self, epoch: u64) {
        self.settled.send_if_modified(|settled| {
            let ends = settled.epoch == epoch;
            if ends {
                // Durable is only what the next reader of the log will find.
                *settled = Settled { epoch: epoch + 1, sequence: 0, position: settled.position };
            }
            ends
        });
    }

    /// Waits until everything up to this sequence is durable; `None` when the epoch ended first.
    pub(super) async fn until_settled(&self, epoch: u64, sequence: i64) -> Option<Settled> {
        let mut settled = self.settled.subscribe();
        let known = settled.wait_for(|settled| settled.epoch != epoch || settled.sequence >= sequence).await;
        known.ok().map(|settled| *settled).filter(|settled| settled.epoch == epoch)
    }

    /// The heap bytes the cache has counted.
    pub(super) fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// What the cache should count now, if that has changed enough to matter.
    pub(super) fn grown_to(&self, heap: usize) -> Option<usize> {
        let counted = self.counted.load(Ordering::Relaxed);
        let enough = heap.abs_diff(counted) > 1_024 + counted / 4;
        enough.then(|| self.counted.store(heap, Ordering::Relaxed))?;
        Some(heap)
    }

    /// To be told later, by whoever does not hold the slot.
    pub(super) fn watch(&self) -> watch::Receiver<Settled> {
        self.settled.subscribe()
    }
}

/// An append on its way. Unless it is settled, its end voids everything that stands on it, also when nobody waits for the
/// answer any more.
pub(super) struct InFlight<'a, A> {
    slot: &'a Slot<A>,
    epoch: u64,
    sequence: i64,
    settled: bool,
}

impl<'a, A> InFlight<'a, A> {
    pub(super) const fn new(slot: &'a Slot<A>, epoch: u64, sequence: i64) -> Self {
        Self { slot, epoch, sequence, settled: false }
    }

    /// The append is durable.
    pub(super) fn written(mut self, position: Position) {
        self.settled = true;
        self.slot.settle(self.epoch, self.sequence, position);
    }
}

impl<A> Drop for InFlight<'_, A> {
    fn drop(&mut self) {
        if !self.settled {
            self.slot.void(self.epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: i64) -> Position {
        Position { number, ..Position::default() }
    }

    #[tokio::test]
    async fn d3_what_stands_on_a_failed_append_is_void_and_what_is_beneath_it_is_not() {
        let slot = Slot::<()>::default();
        InFlight::new(&slot, 0, 1).written(at(10));
        let (failing, on_top) = (InFlight::new(&slot, 0, 2), InFlight::new(&slot, 0, 3));
        assert_eq!(slot.until_settled(0, 1).await.map(|settled| settled.position), Some(at(10)));
        drop(failing);
        assert_eq!(slot.until_settled(0, 2).await, None, "nobody may be answered on it");
        // Its answer comes late, from the epoch that has ended: it says nothing about the new one.
        on_top.written(at(12));
        assert_eq!(slot.settled(), Settled { epoch: 1, sequence: 0, position: at(10) });
        slot.void(0);
        assert_eq!(slot.settled().epoch, 1, "an epoch ends once");
        slot.settle(1, 2, at(20));
        assert_eq!(slot.until_settled(1, 2).await.map(|settled| settled.position), Some(at(20)));
    }

    #[tokio::test]
    async fn d3_an_earlier_answer_that_comes_later_does_not_take_back_what_is_settled() {
        let slot = Slot::<()>::default();
        let (first, second) = (InFlight::new(&slot, 0, 1), InFlight::new(&slot, 0, 2));
        second.written(at(2));
        first.written(at(1));
        assert_eq!(slot.settled(), Settled { epoch: 0, sequence: 2, position: at(2) });
    }
}
