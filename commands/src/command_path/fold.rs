//! Reading an aggregate from the log: the latest snapshot that the log bears out, and the events behind it.

use std::sync::Arc;

use atelier_domain::{Decide, decode_event};
use cqrs_es::DomainEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::error::CommandError;
use super::metrics::PathMetrics;
use super::warm::{Slot, Warm};
use crate::event_store::{EventStore, PAGE, Position, Snapshot, SnapshotStore, StoredEvent, StreamId};

/// A stream that ends within its first page is read in one query, and no snapshot would be quicker.
const FIRST_PAGE: usize = 256;
/// How many snapshots are written at once; one more is left out, and made the next time.
const WRITERS: usize = 2;

/// Reads aggregates, and leaves snapshots behind.
pub(super) struct Folder {
    store: Arc<dyn EventStore>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    every: usize,
    writers: Arc<Semaphore>,
    metrics: Arc<PathMetrics>,
}

impl Folder {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        snapshots: Option<Arc<dyn SnapshotStore>>,
        every: usize,
        metrics: Arc<PathMetrics>,
    ) -> Self {
        Self { store, snapshots, every: every.max(1), writers: Arc::new(Semaphore::new(WRITERS)), metrics }
    }

    /// The aggregate as the log has it, and the position of its last event.
    pub(super) async fn read<A>(&self, stream: &StreamId) -> Result<(Warm<A>, Position), CommandError<A::Error>>
    where
        A: Decide + DeserializeOwned,
    {
        let mut folding = Folding { warm: Warm::default(), position: Position::default() };
        let mut page = self.store.page(stream, 0, FIRST_PAGE).await?;
        let mut limit = FIRST_PAGE;
        if page.len() == limit
            && let Some((snapshot, behind)) = self.snapshot(stream).await?
        {
            (folding, page, limit) = (snapshot, behind, PAGE);
        }
        loop {
            let read = page.len();
            folding.apply(page)?;
            if read < limit {
                return Ok((folding.warm, folding.position));
            }
            limit = PAGE;
            page = self.store.page(stream, folding.warm.sequence, limit).await?;
        }
    }

    /// Applies what the log has behind a state; says whether there was anything.
    pub(super) async fn catch_up<A: Decide>(
        &self,
        stream: &StreamId,
        warm: Warm<A>,
    ) -> Result<Option<(Warm<A>, Position)>, CommandError<A::Error>> {
        let mut folding = Folding { warm, position: Position::default() };
        loop {
            let page = self.store.page(stream, folding.warm.sequence, PAGE).await?;
            let read = page.len();
            folding.apply(page)?;
            if read < PAGE {
                let moved = folding.position.number > 0;
                return Ok(moved.then_some((folding.warm, folding.position)));
            }
        }
    }

    /// A snapshot's state and the first page of events behind it; `None` when there is none that can be used.
    async fn snapshot<A>(
        &self,
        stream: &StreamId,
    ) -> Result<Option<(Folding<A>, Vec<StoredEvent>)>, CommandError<A::Error>>
    where
        A: Decide + DeserializeOwned,
    {
        let Some(snapshots) = &self.snapshots else { return Ok(None) };
        let latest = snapshots.latest(stream, A::STATE_FORM).await;
        let latest =
            latest.inspect_err(|error| tracing::warn!(%error, "snapshots cannot be read; every event is")).ok();
        let Some(snapshot) = latest.flatten() else { return Ok(None) };
        // Its own event is read with those behind it: a restored log may not have it, or another in its place.
        let mut page = self.store.page(stream, snapshot.last_sequence - 1, PAGE + 1).await?;
        let borne_out = page.first().is_some_and(|event| event.event_id == snapshot.last_event);
        let state = serde_json::from_str::<A>(&snapshot.state);
        let (true, Ok(state)) = (borne_out, state) else {
            tracing::warn!(aggregate_type = stream.aggregate_type, "a snapshot that cannot be used is dropped");
            self.metrics.snapshots_dropped.increment(1);
            if let Err(error) = snapshots.discard(stream).await {
                tracing::warn!(%error, "it could not be");
            }
            return Ok(None);
        };
        let anchor = page.remove(0);
        self.metrics.snapshots_used.increment(1);
        let warm = Warm {
            state,
            sequence: anchor.sequence,
            last_event: Some(anchor.event_id),
            decided_at: Some(anchor.decided_at),
            epoch: 0,
            era: 0,
            since_snapshot: 0,
        };
        Ok(Some((Folding { warm, position: anchor.position }, page)))
    }

    /// Leaves a snapshot when enough has happened since the last one. It is written in the background, once what it holds is
    /// durable; the command does not wait.
    pub(super) fn leave_snapshot<A>(&self, stream: &StreamId, slot: &Slot<A>, warm: &mut Warm<A>)
    where
        A: Decide + Clone + Serialize + Send + Sync + 'static,
    {
        if warm.since_snapshot < self.every {
            return;
        }
        let (Some(snapshots), Some(last_event)) = (self.snapshots.clone(), warm.last_event) else { return };
        let Ok(permit) = self.writers.clone().try_acquire_owned() else { return };
        warm.since_snapshot = 0;
        let (stream, state, sequence, epoch) = (stream.clone(), warm.state.clone(), warm.sequence, warm.epoch);
        let (mut settled, metrics) = (slot.watch(), self.metrics.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let known = settled.wait_for(|settled| settled.epoch != epoch || settled.sequence >= sequence).await;
            if !known.is_ok_and(|settled| settled.epoch == epoch) {
                return;
            }
            let state = match serde_json::to_string(&state) {
                Ok(state) => state,
                Err(error) => {
                    tracing::error!(aggregate_type = stream.aggregate_type, %error, "a state cannot be made a snapshot");
                    return;
                }
            };
            let snapshot = Snapshot { last_sequence: sequence, last_event, state };
            match snapshots.keep(&stream, A::STATE_FORM, &snapshot).await {
                Ok(()) => metrics.snapshots_written.increment(1),
                Err(error) => tracing::warn!(%error, "a snapshot could not be kept"),
            }
        });
    }
}

/// A fold on its way.
struct Folding<A> {
    warm: Warm<A>,
    /// Of the last event applied; 0 when there was none.
    position: Position,
}

impl<A: Decide> Folding<A> {
    fn apply(&mut self, page: Vec<StoredEvent>) -> Result<(), CommandError<A::Error>> {
        for stored in page {
            let event: A::Event = decode(A::TYPE, &stored)?;
            self.warm.state.apply(event);
            self.warm.sequence = stored.sequence;
            self.warm.last_event = Some(stored.event_id);
            self.warm.decided_at = Some(stored.decided_at);
            self.warm.since_snapshot += 1;
            self.position = stored.position;
        }
        Ok(())
    }
}

/// An event of the stream, if this program knows this version of it: one of a newer release must not be guessed at.
fn decode<E: DomainEvent, R>(aggregate_type: &str, stored: &StoredEvent) -> Result<E, CommandError<R>> {
    decode_event(aggregate_type, &stored.event_type, &stored.event_version, &stored.payload)
        .map_err(|error| CommandError::Internal(format!("the event at {}: {error}", stored.position.number)))
}
