//! An event as the log stores it, borrowed from a row, and its decoding.

use atelier_domain::{DecodeError, Envelope, EventId, LogEvent};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The parts of a stored event that say what happened: enough for an auditor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEvent<'a> {
    /// Place in the log, dense from 1.
    pub position: i64,
    /// The kind of stream: `Account`, `CreditLedger`, `Generation`.
    pub aggregate_type: &'a str,
    /// The stream.
    pub aggregate_id: &'a str,
    /// The event's stored name.
    pub event_type: &'a str,
    /// Its schema version.
    pub event_version: &'a str,
    /// Its JSON, as it was stored.
    pub payload: &'a str,
}

/// The rest of a stored event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredAround<'a> {
    pub(crate) event_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) decided_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) metadata: &'a str,
}

impl StoredEvent<'_> {
    /// The event decoded; or what is wrong with it, in structure only, without any value.
    pub(crate) fn decode(&self, around: &StoredAround<'_>) -> Result<Envelope, String> {
        let Self { position, aggregate_type, aggregate_id, event_type, event_version, payload } = *self;
        let event = LogEvent::decode(aggregate_type, aggregate_id, event_type, event_version, payload)
            .map_err(|error| describe(&error))?;
        let metadata = serde_json::from_str(around.metadata)
            .map_err(|error| format!("malformed metadata at line {} column {}", error.line(), error.column()))?;
        Ok(Envelope {
            position,
            event_id: EventId(around.event_id),
            sequence: around.sequence,
            decided_at: around.decided_at,
            recorded_at: around.recorded_at,
            metadata,
            event,
        })
    }
}

/// What is wrong with an event, without quoting it.
fn describe(error: &DecodeError) -> String {
    match error {
        DecodeError::MalformedPayload { event_type, source } => {
            format!("malformed payload of {event_type} at line {} column {}", source.line(), source.column())
        }
        DecodeError::UnknownAggregate(_)
        | DecodeError::MalformedId(_)
        | DecodeError::WrongName(_)
        | DecodeError::UnknownVersion { .. } => error.to_string(),
    }
}
