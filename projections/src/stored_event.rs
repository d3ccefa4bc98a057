//! An event as the log stores it, borrowed from a row, and its decoding.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use atelier_domain::{DecodeError, Envelope, EventId, LogEvent};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::batch::{Logged, Undecodable};

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

/// The rest of a stored event. An instant that this program cannot hold is `None`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredAround<'a> {
    pub(crate) event_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) decided_at: Option<DateTime<Utc>>,
    pub(crate) recorded_at: Option<DateTime<Utc>>,
    pub(crate) metadata: &'a str,
}

impl StoredEvent<'_> {
    /// The event decoded; or, in its place, what is wrong with it. A decoder that panics has not decoded it.
    pub(crate) fn logged(&self, around: &StoredAround<'_>) -> Logged {
        let decoded = std::panic::catch_unwind(AssertUnwindSafe(|| self.decode(around)));
        match decoded.unwrap_or_else(|_| Err(format!("the decoder of {} panicked", self.event_type))) {
            Ok(event) => Logged::Event(Arc::new(event)),
            Err(error) => Logged::Undecodable(Arc::new(Undecodable {
                position: self.position,
                event_id: around.event_id,
                aggregate_type: self.aggregate_type.to_owned(),
                aggregate_id: self.aggregate_id.to_owned(),
                event_type: self.event_type.to_owned(),
                event_version: self.event_version.to_owned(),
                error,
            })),
        }
    }

    /// The event decoded; or what is wrong with it, in structure only, without any value.
    fn decode(&self, around: &StoredAround<'_>) -> Result<Envelope, String> {
        let Self { position, aggregate_type, aggregate_id, event_type, event_version, payload } = *self;
        let event = LogEvent::decode(aggregate_type, aggregate_id, event_type, event_version, payload)
            .map_err(|error| describe(&error))?;
        let metadata = serde_json::from_str(around.metadata)
            .map_err(|error| format!("malformed metadata at line {} column {}", error.line(), error.column()))?;
        let (Some(decided_at), Some(recorded_at)) = (around.decided_at, around.recorded_at) else {
            return Err(format!("an instant of {event_type} is out of range"));
        };
        let (event_id, sequence) = (EventId(around.event_id), around.sequence);
        Ok(Envelope { position, event_id, sequence, decided_at, recorded_at, metadata, event })
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
