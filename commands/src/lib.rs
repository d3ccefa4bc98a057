//! The write side: use cases, the event-store port and its adapters, process managers, the outbox, ports.

pub mod activity;
pub mod api_policy;
pub mod avatar_link;
pub mod command_path;
pub mod data_export;
pub mod erasure;
pub mod event_store;
pub mod export_link;
mod held_locks;
pub mod idempotency;
pub mod key_usage;
pub mod lost_media;
pub mod media_link;
pub mod media_types;
pub mod notice_topic;
pub mod notices;
pub mod origin;
pub mod ports;
pub mod process;
pub mod profile_upkeep;
pub mod reconciler;
pub mod refusal;
pub mod return_address;
pub mod security_log;
pub mod throttle;
pub mod use_cases;
pub mod write_side;

pub use command_path::{CommandContext, CommandError, CommandPath};
pub use event_store::Position;
pub use held_locks::HeldLocks;
pub use notice_topic::NoticeTopic;
pub use origin::Origin;
pub use refusal::{Named, Refusal, RefusalCode, UseCaseError};
pub use return_address::{AppAddress, ReturnAddress, ReturnAddresses};
pub use write_side::WriteSide;
