//! From the stored text of an event to the event, whatever version of it was stored (DESIGN 3, Schema evolution).

use cqrs_es::DomainEvent;

use crate::upcast::{Payload, current};

/// A stored event cannot be understood by this program.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The aggregate type is unknown.
    #[error("unknown aggregate type {0:?}")]
    UnknownAggregate(String),
    /// The stream's id is malformed.
    #[error("malformed id of a {0} stream")]
    MalformedId(&'static str),
    /// The payload is another event's.
    #[error("the payload is not a {0}")]
    WrongName(String),
    /// This version of the event is unknown.
    #[error("unknown version {version:?} of {event_type}")]
    UnknownVersion {
        /// The event's name.
        event_type: String,
        /// Its stored version.
        version: String,
    },
    /// The payload does not fit the event.
    #[error("malformed payload of {event_type}: {source}")]
    MalformedPayload {
        /// The event's name.
        event_type: String,
        /// What serde says; it quotes structure, and sealed values at most.
        source: serde_json::Error,
    },
}

/// Decodes a stored event of one aggregate, any version of it that was ever stored.
///
/// # Errors
/// A [`DecodeError`] when the version is not one that this program knows, or the payload is not this event's: nothing is guessed.
pub fn decode_event<E: DomainEvent>(
    aggregate_type: &str,
    event_type: &str,
    version: &str,
    payload: &str,
) -> Result<E, DecodeError> {
    let event: E = parse(aggregate_type, event_type, version, payload)?;
    if event.event_type() == event_type { Ok(event) } else { Err(DecodeError::WrongName(event_type.to_owned())) }
}

/// The event that a payload holds, by the name it gives itself: the caller compares it.
pub(crate) fn parse<E: DomainEvent>(
    aggregate_type: &str,
    event_type: &str,
    version: &str,
    payload: &str,
) -> Result<E, DecodeError> {
    let malformed = |source| DecodeError::MalformedPayload { event_type: event_type.to_owned(), source };
    match current(aggregate_type, event_type, version, payload)? {
        Payload::AsStored(text) => serde_json::from_str(text).map_err(malformed),
        Payload::Upcast(value) => serde_json::from_value(value).map_err(malformed),
    }
}
