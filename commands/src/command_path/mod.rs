//! The command path: load, decide, seal, append, acknowledge (DESIGN 3).
//!
//! Commands on one aggregate are decided in the order in which they came, on the state with every append in front of them that is
//! still on its way, so an aggregate is not limited to one command a commit. What was decided on an append that fails is decided
//! again. A refusal, and a command with nothing to do, is answered only when what it stands on is durable and is still the end of
//! the stream, whichever node wrote it.
//!
//! When the process dies: what was submitted is durable or is not, and nobody was told; everything here is a cache.

mod aggregates;
mod cache;
mod clock_gate;
mod error;
mod executed;
mod fold;
mod issued;
mod metrics;
mod warm;

use std::sync::Arc;

use atelier_domain::{Decide, PersonalFields};
use atelier_vault::{RandomBytes, Vault};
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::MutexGuard;

use self::aggregates::{Aggregates, Standing};
use self::cache::WarmCache;
use self::fold::Folder;
use self::issued::Issued;
use self::metrics::PathMetrics;
use self::warm::{InFlight, Slot, Warm};
use crate::event_store::{Append, Appended, EventStore, IdempotencyKey, Position, SnapshotStore, StreamId};
use crate::ports::Clock;
use crate::security_log;

pub use self::clock_gate::ClockGate;
pub use self::error::CommandError;
pub use self::executed::{Executed, Loaded};
pub use self::issued::{CommandContext, Target};

/// How much the clocks of nodes and database may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(1);

/// How often a command is decided again after somebody else's append, before it is a typed conflict.
const MAX_DECISIONS: u32 = 16;

/// The command path's bounds.
#[derive(Debug, Clone)]
pub struct CommandPathOptions {
    /// About how many bytes of warm aggregates a node keeps.
    pub cache_bytes: u64,
    /// A snapshot is left after so many events of a stream.
    pub snapshot_every: usize,
}

impl Default for CommandPathOptions {
    fn default() -> Self {
        Self { cache_bytes: 128 << 20, snapshot_every: 1_000 }
    }
}

/// What an aggregate needs to go through the command path: pure decisions, and a state that can be kept as a snapshot.
pub trait Commanded:
    Decide<Event: PersonalFields, Command: Send> + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<A> Commanded for A where
    A: Decide<Event: PersonalFields, Command: Send> + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// Loads, decides, seals and appends.
#[derive(Clone)]
pub struct CommandPath {
    store: Arc<dyn EventStore>,
    vault: Vault,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomBytes>,
    aggregates: Arc<Aggregates>,
    metrics: Arc<PathMetrics>,
    gate: ClockGate,
}

impl CommandPath {
    /// Hangs the path on a store, a vault, a clock and a source of ids; without snapshots.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, vault: Vault, clock: Arc<dyn Clock>, random: Arc<dyn RandomBytes>) -> Self {
        Self::with_options(store, None, vault, clock, random, &CommandPathOptions::default())
    }

    /// Hangs the path on a store, with these bounds, and a place for snapshots.
    #[must_use]
    pub fn with_options(
        store: Arc<dyn EventStore>,
        snapshots: Option<Arc<dyn SnapshotStore>>,
        vault: Vault,
        clock: Arc<dyn Clock>,
        random: Arc<dyn RandomBytes>,
        options: &CommandPathOptions,
    ) -> Self {
        let metrics = Arc::new(PathMetrics::new());
        let cache = WarmCache::new(options.cache_bytes);
        let folder = Folder::new(store.clone(), snapshots, options.snapshot_every, metrics.clone());
        let aggregates = Arc::new(Aggregates::new(store.clone(), cache, folder, metrics.clone()));
        Self { store, vault, clock, random, aggregates, metrics, gate: ClockGate::default() }
    }

    /// The gate that is closed while the clock is wrong.
    #[must_use]
    pub const fn gate(&self) -> &ClockGate {
        &self.gate
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// An aggregate as the log has it: durable, and nothing that was acknowledged before this call is missing.
    ///
    /// # Errors
    /// When the log cannot be read, or holds an event of this stream that the program does not know; `Conflict` when the stream
    /// never stood still.
    pub async fn load<A: Commanded>(&self, id: &str) -> Result<Loaded<A>, CommandError<A::Error>> {
        let stream = stream::<A>(id);
        let slot = self.aggregates.slot::<A>(&stream);
        for _ in 0..MAX_DECISIONS {
            let (guard, fresh) = self.aggregates.warm_up(&stream, &slot).await?;
            let Some(warm) = guard.as_ref() else { continue };
            let standing = Standing { epoch: warm.epoch, sequence: warm.sequence, era: warm.era, fresh };
            let (state, decided_at) = (warm.state.clone(), warm.decided_at);
            drop(guard);
            if let Some(position) = self.aggregates.stands(&stream, &slot, standing).await? {
                return Ok(Loaded { state, sequence: standing.sequence, position, decided_at });
            }
        }
        Err(CommandError::Conflict)
    }

    /// Decides a command on the aggregate as it is, appends what it causes, and answers once that is durable. The command is
    /// made from the instant it is decided at: the clock's, but never before the stream's last event.
    ///
    /// # Errors
    /// A [`CommandError`]; after `Conflict`, `Unavailable` and `Refused` nothing was written. `Unavailable` also while the clock is wrong.
    pub async fn execute<A: Commanded>(
        &self,
        target: &Target,
        context: &CommandContext,
        key: Option<&IdempotencyKey>,
        command: impl Fn(DateTime<Utc>) -> A::Command + Send + Sync,
    ) -> Result<Executed<A>, CommandError<A::Error>> {
        if self.gate.is_closed() {
            return Err(CommandError::Unavailable);
        }
        let issued = Issued { target, context, key };
        let stream = stream::<A>(&target.id);
        let slot = self.aggregates.slot::<A>(&stream);
        for round in 0..MAX_DECISIONS {
            // What came in between may have been a twin with the same key; and of many twins each would fail the next. What an earlier
            // release wrote under the key is in the clear, so the append itself would not meet it.
            let in_the_clear = key.is_some_and(|key| key.clear.is_some());
            if (round > 0 || in_the_clear)
                && let Some(repeat) = self.repeat(key).await?
            {
                return Ok(repeat);
            }
            let (mut guard, fresh) = self.aggregates.warm_up(&stream, &slot).await?;
            let Some(warm) = guard.as_mut() else { continue };
            let standing = Standing { epoch: warm.epoch, sequence: warm.sequence, era: warm.era, fresh };
            let now = decided_at(self.clock.now(), warm.decided_at);
            let decided = match warm.state.decide(command(now)) {
                Ok(events) if !events.is_empty() => events,
                nothing => {
                    drop(guard);
                    match self.without_events(&stream, &slot, standing, key, nothing.map(drop)).await? {
                        Some(executed) => return Ok(executed),
                        None => continue,
                    }
                }
            };
            match self.append(&stream, &slot, guard, issued, now, decided).await {
                Err(CommandError::Conflict) => self.metrics.conflicts.increment(1),
                executed => return executed,
            }
        }
        self.repeat(key).await?.ok_or(CommandError::Conflict)
    }

    /// The answer that an idempotency key already has, if it was used for the same request.
    ///
    /// # Errors
    /// `KeyReused` when it was used for another request; `Unavailable` when the log cannot be read.
    pub async fn repeat<A: Aggregate>(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Executed<A>>, CommandError<A::Error>> {
        let used = self.used(key).await?;
        Ok(used.map(|(result, position)| Executed::Repeat { result, position }))
    }

    /// What the first request with an idempotency key was answered with, and its position, if it was the same request.
    ///
    /// # Errors
    /// As [`Self::repeat`].
    pub async fn used<E>(&self, key: Option<&IdempotencyKey>) -> Result<Option<(String, Position)>, CommandError<E>> {
        let Some(key) = key else { return Ok(None) };
        let mut used = self.store.find_key(key.account, &key.key).await?;
        if let (None, Some(clear)) = (&used, &key.clear) {
            used = self.store.find_key(key.account, clear).await?;
        }
        match used {
            None => Ok(None),
            Some(used) if used.fingerprint == key.fingerprint => Ok(Some((used.result, used.position))),
            Some(_) => Err(CommandError::KeyReused),
        }
    }

    /// A refusal, or nothing to do: answered when it stands; `None` when it must be decided again.
    async fn without_events<A: Commanded>(
        &self,
        stream: &StreamId,
        slot: &Arc<Slot<A>>,
        standing: Standing,
        key: Option<&IdempotencyKey>,
        decided: Result<(), A::Error>,
    ) -> Result<Option<Executed<A>>, CommandError<A::Error>> {
        let Some(position) = self.aggregates.stands(stream, slot, standing).await? else { return Ok(None) };
        // A twin with the same key may have changed what this decision stood on: then its answer is this one's too.
        if let Some(repeat) = self.repeat(key).await? {
            return Ok(Some(repeat));
        }
        match decided {
            Ok(()) => Ok(Some(Executed::Done { events: Vec::new(), position })),
            Err(refusal) => {
                self.metrics.refusals.increment(1);
                Err(CommandError::Refused(refusal))
            }
        }
    }

    /// Sends what was decided, lets the next command be decided on it, and waits for the answer.
    async fn append<A: Commanded>(
        &self,
        stream: &StreamId,
        slot: &Arc<Slot<A>>,
        mut guard: MutexGuard<'_, Option<Warm<A>>>,
        issued: Issued<'_>,
        now: DateTime<Utc>,
        mut events: Vec<A::Event>,
    ) -> Result<Executed<A>, CommandError<A::Error>> {
        let stored = issued.stored_form(&self.vault, self.random.as_ref(), now, &mut events).await?;
        let Some(warm) = guard.as_mut() else { return Err(CommandError::Conflict) };
        let last_event = stored.last().map(|event| event.event_id);
        let pending = warm.sequence > slot.settled().sequence;
        if pending {
            self.metrics.pending.increment(1);
        }
        let append = Append {
            stream: stream.clone(),
            expected_sequence: warm.sequence,
            stands_on: warm.last_event,
            durable_in: (!pending).then_some(warm.era),
            events: stored,
            key: issued.key.cloned(),
        };
        let answer = self.store.submit(append).map_err(CommandError::of_append)?;
        // From here on the append may stand in the log: if anything goes wrong with the state, it is read again.
        let in_flight =
            InFlight::new(slot, warm.epoch, warm.sequence + i64::try_from(events.len()).unwrap_or(i64::MAX));
        for event in &events {
            warm.state.apply(event.clone());
            warm.sequence += 1;
        }
        warm.last_event = last_event;
        warm.decided_at = Some(now);
        warm.since_snapshot += events.len();
        self.aggregates.keep(stream, slot, warm);
        drop(guard);
        match answer.await {
            Ok(Appended::Written { position }) => {
                in_flight.written(position);
                security_log::written(issued.context, &events);
                Ok(Executed::Done { events, position })
            }
            Ok(Appended::Repeat { result, position }) => Ok(Executed::Repeat { result, position }),
            Err(error) => Err(CommandError::of_append(error)),
        }
    }
}

fn stream<A: Aggregate>(id: &str) -> StreamId {
    StreamId { aggregate_type: A::TYPE, aggregate_id: id.to_owned() }
}

/// The instant of a decision: the clock's, but not before that of the stream's last event, which another node's clock may have given.
/// One that is further ahead than clocks may differ is of a release that did not look: it is not followed, or nothing could be decided
/// until then.
fn decided_at(now: DateTime<Utc>, last: Option<DateTime<Utc>>) -> DateTime<Utc> {
    last.filter(|last| *last <= now + CLOCKS_DIFFER).map_or(now, |last| now.max(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_not_before_the_last_one_unless_that_is_of_a_wrong_clock() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let later = |milliseconds| now + TimeDelta::milliseconds(milliseconds);
        for (last, decided) in [
            (None, 0),
            (Some(-5_000), 0),
            (Some(400), 400),
            (Some(1_000), 1_000),
            (Some(1_001), 0),
            (Some(9_000_000), 0),
        ] {
            assert_eq!(decided_at(now, last.map(later)), later(decided), "{last:?}");
        }
    }
}
