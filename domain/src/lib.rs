//! The rules of atelier: aggregates, their events and commands, value objects and policies. No I/O, no clock, no randomness.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod account;
pub mod credit_ledger;
pub mod credits;
pub mod generation;
pub mod ids;
pub mod log_event;
pub mod metadata;
pub mod personal;
pub mod policy;
pub mod text;

pub use credits::Credits;
pub use ids::{AccountId, ApiKeyId, Environment, EventId, GenerationId, HoldId, LedgerId, LotId, SessionId};
pub use log_event::{DecodeError, LogEvent};
pub use metadata::{Actor, Envelope, EventMetadata};
pub use personal::{KeyClass, Personal, PersonalFields, PersonalSlot, Sealed};
