//! The event-store port: what the write side needs of a log, in words any log can keep (DESIGN 3.9).

mod batch;
mod link;
mod postgres;
mod snapshot;
mod writer;

use async_trait::async_trait;
use atelier_domain::EventId;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

pub use atelier_log::{Branch, KnownLog, Position};
pub use link::LinkError;
pub use postgres::PostgresEventStore;
pub use snapshot::{Snapshot, SnapshotStore};
pub use writer::WriterOptions;

/// A stream: one aggregate's events, the atomic unit of an append.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// `Aggregate::TYPE`.
    pub aggregate_type: &'static str,
    /// The aggregate's id as text.
    pub aggregate_id: String,
}

/// An event to be appended, in its stored form: nothing personal is open any more.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Fresh, and the same when the same append is sent again.
    pub event_id: EventId,
    /// The event's stored name.
    pub event_type: String,
    /// Its schema version.
    pub event_version: String,
    /// JSON.
    pub payload: String,
    /// JSON: actor, correlation, causation.
    pub metadata: String,
    /// The command's clock, never before the stream's last.
    pub decided_at: DateTime<Utc>,
}

/// An idempotency key riding on an append (DESIGN 3, property 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Keys of different accounts never meet.
    pub account: atelier_domain::AccountId,
    /// What is stored of the client's key for this kind of request: a keyed hash.
    pub key: String,
    /// The client's key as releases before 2026-11-30 stored it; only looked for, never written. `None` once none of those counts.
    pub clear: Option<String>,
    /// A keyed HMAC of the request's meaning.
    pub fingerprint: [u8; 32],
    /// What a repeat is answered with: ids only, nothing personal.
    pub result: String,
}

/// Events for one stream, decided on its first `expected_sequence` events.
#[derive(Debug, Clone)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// The sequence of the last event the decision saw; 0 for a new stream.
    pub expected_sequence: i64,
    /// That event's id: the append is written only if exactly that event is there. `None` asks for no such look.
    pub stands_on: Option<EventId>,
    /// The era of the log in which that event was read or acknowledged. In the same era it is there for ever and is not looked
    /// for again. `None` when the decision saw it before it was durable.
    pub durable_in: Option<u64>,
    /// At least one event.
    pub events: Vec<NewEvent>,
    /// The client's key, if it sent one.
    pub key: Option<IdempotencyKey>,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    Written {
        /// The position of its last event.
        position: Position,
    },
    /// Its key was used before for the same request; nothing was written now.
    Repeat {
        /// What the first request was answered with.
        result: String,
        /// The position of the first request's last event.
        position: Position,
    },
}

/// Why nothing was appended, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the stream first: reload and decide again.
    #[error("the stream has moved on")]
    Conflict,
    /// The key was used before for another request (L07).
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The queue is full, or the log cannot be reached: try again later. Nothing was written.
    #[error("the log is overloaded")]
    Overloaded,
    /// The log did not answer in time: the append may or may not be durable.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// It was decided more than a second ahead of the database's clock. Nothing was written.
    #[error("this machine's clock is ahead of the database's")]
    ClockAhead,
    /// The database refused this append for itself, not for its neighbours. Nothing was written.
    #[error("the log refused the append: {0}")]
    Rejected(String),
}

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub struct LoadError(#[from] pub sqlx::Error);

/// An event of one stream, as stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its id.
    pub event_id: EventId,
    /// Place in the stream.
    pub sequence: i64,
    /// Place in the log.
    pub position: Position,
    /// The event's stored name.
    pub event_type: String,
    /// Its schema version.
    pub event_version: String,
    /// JSON.
    pub payload: String,
    /// The command's clock.
    pub decided_at: DateTime<Utc>,
}

/// The answer of a queued append.
pub type Submitted = BoxFuture<'static, Result<Appended, AppendError>>;

/// How many events of a stream are read at once.
pub const PAGE: usize = 4_096;

/// A log. It promises order, no late arrivals, and a stream as the atomic unit.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Queues an append of events to one stream, all or none. It has its place in the queue when this returns, and appends of
    /// one stream are tried in the order of their places; the answer comes with the future, and an `Ok` is durable. Dropping
    /// the future does not take the append back.
    ///
    /// # Errors
    /// `Overloaded` when there is no place. The future's is any other [`AppendError`]; only [`AppendError::OutcomeUnknown`] leaves the
    /// outcome open.
    fn submit(&self, append: Append) -> Result<Submitted, AppendError>;

    /// Rises whenever the log behind this store may be another one than before, as after a failover to a replica that was
    /// behind or a restore: what was read or acknowledged in an earlier era is to be read again.
    fn era(&self) -> u64 {
        0
    }

    /// Appends events to one stream, all or none; an `Ok` is durable.
    ///
    /// # Errors
    /// An [`AppendError`]; only [`AppendError::OutcomeUnknown`] leaves the outcome open.
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.submit(append)?.await
    }

    /// At most `limit` events of a stream after a sequence, in order.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn page(&self, stream: &StreamId, after_sequence: i64, limit: usize) -> Result<Vec<StoredEvent>, LoadError>;

    /// All events of a stream after a sequence, in order. A long stream is better read in pages.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn load(&self, stream: &StreamId, after_sequence: i64) -> Result<Vec<StoredEvent>, LoadError> {
        loop {
            let era = self.era();
            let mut events = self.page(stream, after_sequence, PAGE).await?;
            let mut read = events.len();
            while read == PAGE {
                let last = events.last().map_or(after_sequence, |event| event.sequence);
                let page = self.page(stream, last, PAGE).await?;
                read = page.len();
                events.extend(page);
            }
            // Pages of two logs are none of either.
            if self.era() == era {
                return Ok(events);
            }
        }
    }

    /// The last position; all before it has been written, for ever.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn head(&self) -> Result<Position, LoadError>;

    /// What an idempotency key stood for, if it was used.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn find_key(&self, account: atelier_domain::AccountId, key: &str) -> Result<Option<UsedKey>, LoadError>;
}

/// A used idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// The fingerprint of the request it was used for.
    pub fingerprint: Vec<u8>,
    /// What that request was answered with.
    pub result: String,
    /// The position of its last event.
    pub position: Position,
}
