//! The read side: one file per read model, the feed, the runner, checkpoints, rebuild.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod cursor;
pub mod feed;
pub mod models;
mod read_row;
pub mod runner;
pub mod snapshot;

pub use cursor::{BadCursor, Cursor, PositionToken};
pub use feed::Feed;
pub use runner::{Projection, Runner, RunnerOptions};
pub use snapshot::{ReadError, ReadModels, Snapshot};
