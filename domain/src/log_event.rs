//! Every event of the log as one type.

use serde_json::Value;

use crate::account::AccountEvent;
use crate::credit_ledger::CreditLedgerEvent;
use crate::decode::{DecodeError, parse};
use crate::generation::GenerationEvent;
use crate::upcast::version_of;
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

impl LogEvent {
    /// Decodes a stored event, any version of it that was ever stored.
    ///
    /// # Errors
    /// A [`DecodeError`] when the program does not know the event; a projection puts its account in quarantine (DESIGN 5).
    pub fn decode(
        aggregate_type: &str,
        aggregate_id: &str,
        event_type: &str,
        version: &str,
        payload: &str,
    ) -> Result<Self, DecodeError> {
        let event = match aggregate_type {
            "Account" => Self::Account(
                aggregate_id.parse().map_err(|_| DecodeError::MalformedId("Account"))?,
                parse(aggregate_type, event_type, version, payload)?,
            ),
            "CreditLedger" => Self::CreditLedger(
                aggregate_id.parse().map_err(|_| DecodeError::MalformedId("CreditLedger"))?,
                parse(aggregate_type, event_type, version, payload)?,
            ),
            "Generation" => Self::Generation(
                aggregate_id.parse().map_err(|_| DecodeError::MalformedId("Generation"))?,
                parse(aggregate_type, event_type, version, payload)?,
            ),
            other => return Err(DecodeError::UnknownAggregate(other.to_owned())),
        };
        if event.name() == event_type { Ok(event) } else { Err(DecodeError::WrongName(event_type.to_owned())) }
    }

    /// Every event that this release decodes: its aggregate, its name, and the highest version of it.
    pub fn forms() -> impl Iterator<Item = (&'static str, &'static str, i32)> {
        let of = |aggregate: &'static str, names: &'static [&'static str]| {
            names.iter().map(move |name| (aggregate, *name, version_of(aggregate, name).parse().unwrap_or(1)))
        };
        of("Account", AccountEvent::NAMES)
            .chain(of("CreditLedger", CreditLedgerEvent::NAMES))
            .chain(of("Generation", GenerationEvent::NAMES))
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
