//! What came of a command, and of a look at an aggregate.

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;

use crate::event_store::Position;

/// An aggregate as the log has it now.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The folded state.
    pub state: A,
    /// The sequence of its last event; 0 when there is none.
    pub sequence: i64,
    /// The position of its last event, or of a later one of the same aggregate.
    pub position: Position,
    /// The instant of its last event.
    pub decided_at: Option<DateTime<Utc>>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub enum Executed<A: Aggregate> {
    /// Its events are durable; none when there was nothing to do.
    Done {
        /// The events, sealed.
        events: Vec<A::Event>,
        /// The position to read from to see them.
        position: Position,
    },
    /// Its idempotency key was used before for the same request.
    Repeat {
        /// What the first request was answered with.
        result: String,
        /// The position of the first request.
        position: Position,
    },
}

impl<A: Aggregate> Executed<A> {
    /// The position to read from to see what was done.
    #[must_use]
    pub const fn position(&self) -> Position {
        match self {
            Self::Done { position, .. } | Self::Repeat { position, .. } => *position,
        }
    }
}
