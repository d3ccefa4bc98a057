//! Why a read fails.

use atelier_log::Position;
use atelier_vault::credential_rows::RowError;

use crate::cursor::BadCursor;

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The read models have not reached the asked position in time; the current one is here (`STALE_READ`).
    #[error("the read models have not reached this position yet")]
    Stale {
        /// Where they are.
        current: Position,
    },
    /// The position is not one of this log, or not any more (`POSITION_UNKNOWN`).
    #[error("the position is not one of this log, or not any more")]
    PositionUnknown,
    /// The cursor is not one of this list (`BAD_CURSOR`).
    #[error(transparent)]
    BadCursor(#[from] BadCursor),
    /// The read model leaves this account out until an operator has repaired it (`UNAVAILABLE`).
    #[error("{0} has this account in quarantine")]
    Quarantined(&'static str),
    /// The database failed.
    #[error("the read models cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// Rows beside the read models cannot be read.
    #[error(transparent)]
    Rows(#[from] RowError),
    /// A sealed value cannot be opened: an operator's problem.
    #[error("a sealed value cannot be opened: {0}")]
    Vault(String),
    /// The snapshot was not taken for this read model, so nobody waited for it: a bug of whoever reads.
    #[error("the read model {0} is read, and the snapshot was not asked for it")]
    NotAsked(&'static str),
}
