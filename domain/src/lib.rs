//! The rules of atelier: aggregates, their events and commands, value objects and policies. No I/O, no clock, no randomness.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod account;
pub mod credit_ledger;
pub mod credits;
pub mod decide;
pub mod decode;
pub mod generation;
pub mod ids;
pub mod instant;
pub mod invalid;
pub mod log_event;
pub mod metadata;
pub mod personal;
pub mod policy;
pub mod text;
pub mod upcast;

pub use credits::Credits;
pub use decide::Decide;
pub use decode::{DecodeError, decode_event};
pub use ids::{
    AccountId, ApiKeyId, AvatarId, Environment, EventId, ExportId, GenerationId, HoldId, IdentityId, LedgerId, LotId,
    PaymentId, SessionId,
};
pub use invalid::{Invalid, Reason};
pub use log_event::LogEvent;
pub use metadata::{Actor, Envelope, EventMetadata};
pub use personal::{KeyClass, Personal, PersonalFields, PersonalSlot, Sealed};
