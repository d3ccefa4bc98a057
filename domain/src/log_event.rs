//! Every event of the log as one type, and the decoding of its stored form.

use serde_json::Value;

use crate::account::AccountEvent;
use crate::credit_ledger::CreditLedgerEvent;
use crate::generation::GenerationEvent;
use crate::{AccountId, GenerationId, LedgerId};

/// An event with the stream it belongs to. Matches on it are exhaustive, so a new event names every place that must decide.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEvent {
    /// Of an account.
    Account(AccountId, AccountEvent),
    /// Of a credit ledger.
    CreditLedger(LedgerId, CreditLedgerEvent),
    /// Of a generation.
    Generation(GenerationId, GenerationEvent),
}

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

/// The one version every event has today. A second version brings its upcaster here.
const VERSION: &str = "1";

impl LogEvent {
    /// Decodes a stored event.
    ///
    /// # Errors
    /// A [`DecodeError`] when the program does not know the event; a projection stops on it (DESIGN 5).
    pub fn decode(
        aggregate_type: &str,
        aggregate_id: &str,
        event_type: &str,
        version: &str,
        payload: &str,
    ) -> Result<Self, DecodeError> {
        fn parse<E: serde::de::DeserializeOwned>(event_type: &str, payload: &str) -> Result<E, DecodeError> {
            serde_json::from_str(payload)
                .map_err(|source| DecodeError::MalformedPayload { event_type: event_type.to_owned(), source })
        }
        if version != VERSION {
            let (event_type, version) = (event_type.to_owned(), version.to_owned());
            return Err(DecodeError::UnknownVersion { event_type, version });
        }
        let event = match aggregate_type {
            "Account" => Self::Account(
                aggregate_id.parse().map_err(|_| DecodeError::MalformedId("Account"))?,
                parse(event_type, payload)?,
            ),
            "CreditLedger" => Self::CreditLedger(
                aggregate_id.parse().map_err(|_| DecodeError::MalformedId("CreditLedger"))?,
                parse(event_type, payload)?,
            ),
            "Generation" => Self::Generation(
                aggregate_id.parse().map_err(|_| DecodeError::MalformedId("Generation"))?,
                parse(event_type, payload)?,
            ),
            other => return Err(DecodeError::UnknownAggregate(other.to_owned())),
        };
        if event.name() == event_type { Ok(event) } else { Err(DecodeError::WrongName(event_type.to_owned())) }
    }

    /// The event's stored name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Account(_, event) => event.name(),
            Self::CreditLedger(_, event) => event.name(),
            Self::Generation(_, event) => event.name(),
        }
    }

    /// The payload as it is stored.
    ///
    /// # Errors
    /// When a personal field is still open.
    pub fn payload(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Account(_, event) => serde_json::to_value(event),
            Self::CreditLedger(_, event) => serde_json::to_value(event),
            Self::Generation(_, event) => serde_json::to_value(event),
        }
    }
}
