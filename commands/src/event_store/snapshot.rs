//! The snapshot port: a cache of committed state, beside the log. No answer may depend on one (DESIGN 3).

use async_trait::async_trait;
use atelier_domain::EventId;

use super::{LoadError, StreamId};

/// The state of an aggregate after a durable event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The sequence of that event.
    pub last_sequence: i64,
    /// Its id: a snapshot whose event the log does not have, as after a restore, is not used.
    pub last_event: EventId,
    /// The state as JSON, as the stock repository reads it; personal fields are sealed.
    pub state: String,
}

/// Keeps at most one snapshot of a stream worth using.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// The latest snapshot of this form.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn latest(&self, stream: &StreamId, form: &str) -> Result<Option<Snapshot>, LoadError>;

    /// Keeps a snapshot in the place of all others of the stream.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn keep(&self, stream: &StreamId, form: &str, snapshot: &Snapshot) -> Result<(), LoadError>;

    /// Drops the stream's snapshots.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn discard(&self, stream: &StreamId) -> Result<(), LoadError>;
}
