//! What every event carries beside its payload (DESIGN 3, property 7).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AccountId, ApiKeyId, EventId, LogEvent};

/// Who caused an event. Random ids only, nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Nobody signed in: sign-up, sign-in.
    Anonymous,
    /// The account itself, by a session.
    Account(AccountId),
    /// The account, by one of its API keys.
    ApiKey(ApiKeyId),
    /// A process manager, by its name.
    Process(String),
    /// The operator's command line or the demo studio.
    Operator,
}

/// The metadata stored beside an event's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMetadata {
    /// Who caused it.
    pub actor: Actor,
    /// The request or process all of these events belong to.
    pub correlation_id: Uuid,
    /// The event or request that led directly to this one.
    pub causation_id: Uuid,
}

/// One event as the log holds it, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Place in the log, dense from 1.
    pub position: i64,
    /// The event's own id.
    pub event_id: EventId,
    /// Place in its stream, from 1.
    pub sequence: i64,
    /// The command's clock; the only time rules and read models use.
    pub decided_at: DateTime<Utc>,
    /// The store's clock; never runs backwards along positions; for audit and as-of.
    pub recorded_at: DateTime<Utc>,
    /// Actor, correlation and causation.
    pub metadata: EventMetadata,
    /// The event and the stream it belongs to.
    pub event: LogEvent,
}
