//! The aggregates a node has warm, and whether what was decided on one of them may be answered.

use std::sync::Arc;

use tokio::sync::MutexGuard;

use super::Commanded;
use super::cache::WarmCache;
use super::error::CommandError;
use super::fold::Folder;
use super::metrics::PathMetrics;
use super::warm::{Slot, Warm};
use crate::event_store::{EventStore, Position, StreamId};

/// What a decision stood on.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub epoch: u64,
    pub sequence: i64,
    /// The era of the log that the state is of.
    pub era: u64,
    /// The log was read in the course of this command.
    pub fresh: bool,
}

/// Warm aggregates over a log.
pub(super) struct Aggregates {
    store: Arc<dyn EventStore>,
    cache: WarmCache,
    folder: Folder,
    metrics: Arc<PathMetrics>,
}

impl Aggregates {
    pub(super) fn new(store: Arc<dyn EventStore>, cache: WarmCache, folder: Folder, metrics: Arc<PathMetrics>) -> Self {
        Self { store, cache, folder, metrics }
    }

    /// The slot of a stream.
    pub(super) fn slot<A: Commanded>(&self, stream: &StreamId) -> Arc<Slot<A>> {
        self.cache.slot(stream)
    }

    /// The slot's state, read from the log when the node does not have it; whether it was.
    pub(super) async fn warm_up<'a, A: Commanded>(
        &self,
        stream: &StreamId,
        slot: &'a Arc<Slot<A>>,
    ) -> Result<(MutexGuard<'a, Option<Warm<A>>>, bool), CommandError<A::Error>> {
        let mut guard = slot.warm.lock().await;
        let (epoch, mut era) = (slot.settled().epoch, self.store.era());
        let current = guard.as_ref().filter(|warm| warm.epoch == epoch).map(|warm| warm.era);
        if current == Some(era) {
            self.metrics.warm.increment(1);
            return Ok((guard, false));
        }
        *guard = None;
        if current.is_some() {
            // Of a log that may be gone: with it goes what stands on it.
            slot.void(epoch);
        }
        let epoch = slot.settled().epoch;
        self.metrics.cold.increment(1);
        let (mut warm, position) = loop {
            let read = self.folder.read::<A>(stream).await?;
            // The pages of a long stream may be of two logs, when one took the other's place in between.
            let after = std::mem::replace(&mut era, self.store.era());
            if after == era {
                break read;
            }
        };
        (warm.epoch, warm.era) = (epoch, era);
        slot.settle(epoch, warm.sequence, position);
        self.keep(stream, slot, guard.insert(warm));
        Ok((guard, true))
    }

    /// After a state has changed: a snapshot when it is time, and its size in the cache.
    pub(super) fn keep<A: Commanded>(&self, stream: &StreamId, slot: &Arc<Slot<A>>, warm: &mut Warm<A>) {
        self.folder.leave_snapshot(stream, slot, warm);
        if let Some(heap) = slot.grown_to(warm.state.heap_bytes()) {
            self.cache.put(stream, slot, heap);
            self.metrics.cache_bytes.set(bytes_as_f64(self.cache.bytes()));
        }
    }

    /// Whether a decision may be answered: what it stood on is durable, and was the end of the stream after the command had come.
    /// The position it may be read from; `None` when it must be decided again.
    pub(super) async fn stands<A: Commanded>(
        &self,
        stream: &StreamId,
        slot: &Arc<Slot<A>>,
        standing: Standing,
    ) -> Result<Option<Position>, CommandError<A::Error>> {
        let Standing { epoch, sequence, era, fresh } = standing;
        let Some(settled) = slot.until_settled(epoch, sequence).await else { return Ok(None) };
        // An append of this node that was decided after it is durable in the very next place: nobody else's was in between.
        if fresh || settled.sequence > sequence {
            return Ok(Some(settled.position));
        }
        let behind = self.store.page(stream, sequence, 1).await?;
        if self.store.era() != era {
            // The end of another log than the state is of.
            return Ok(None);
        }
        if behind.is_empty() {
            return Ok(Some(settled.position));
        }
        let mut guard = slot.warm.lock().await;
        let Some(warm) = guard.as_ref().filter(|warm| warm.epoch == epoch) else { return Ok(None) };
        if warm.sequence > sequence {
            // One of ours was decided since: if it gets its place, it was the one behind.
            drop(guard);
            return Ok(slot.until_settled(epoch, sequence + 1).await.map(|settled| settled.position));
        }
        // Another node's: the state is brought up to it, in a new epoch. Whoever else was decided on the old one must not take this
        // step for one of ours.
        let stale = warm.clone();
        if let Some((mut warm, position)) = self.folder.catch_up(stream, stale).await?
            && self.store.era() == era
        {
            slot.void(epoch);
            warm.epoch = epoch + 1;
            slot.settle(warm.epoch, warm.sequence, position);
            self.keep(stream, slot, guard.insert(warm));
        }
        Ok(None)
    }
}

/// Bytes as a gauge's value; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
const fn bytes_as_f64(bytes: u64) -> f64 {
    bytes as f64
}
