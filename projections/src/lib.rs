//! The read side: one file per read model, the feed, the runner, checkpoints, rebuild.
#![deny(clippy::wildcard_enum_match_arm)]

mod attendance;
mod batch;
mod carried;
pub mod changes;
pub mod cursor;
mod fault;
pub mod feed;
mod forms;
pub mod models;
pub mod notices;
mod place;
mod quarantine;
mod read_row;
pub mod rebuild;
pub mod replay;
pub mod runner;
pub mod snapshot;
mod stored_event;

pub use batch::{Batch, Logged, Undecodable};
pub use changes::{Changes, Interest, Topic};
pub use cursor::{BadCursor, Cursor, PositionToken};
pub use feed::Feed;
pub use quarantine::{Quarantined, Retried, RetryError, quarantined};
pub use rebuild::{RebuildError, Rebuilt};
pub use replay::{Replay, ReplayError};
pub use runner::{Projection, Runner, RunnerOptions};
pub use snapshot::{ReadError, ReadModels, Snapshot};
pub use stored_event::StoredEvent;
