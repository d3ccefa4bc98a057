//! The write side: use cases, the event-store port and its adapters, process managers, the outbox, ports.

pub mod avatar_link;
pub mod command_path;
pub mod erasure;
pub mod event_store;
mod idempotency;
pub mod media_link;
pub mod ports;
pub mod process;
pub mod profile_upkeep;
pub mod reconciler;
pub mod refusal;
pub mod use_cases;
pub mod write_side;

pub use command_path::{CommandContext, CommandError, CommandPath};
pub use event_store::Position;
pub use refusal::{Refusal, RefusalCode, UseCaseError};
pub use write_side::WriteSide;
