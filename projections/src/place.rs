//! The two places of a read model's rows: in one they serve, in the other a build may go on beside them (DESIGN 5).

use std::time::Duration;

use atelier_vault::transactions::begin_with;
use sqlx::{PgPool, Postgres, Transaction};

/// A place. Which one serves is a column of the checkpoint, so a reader's own snapshot says where to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    A,
    B,
}

impl Place {
    /// As the checkpoint has it; anything but `b` is the place a model begins in.
    pub(crate) fn of(text: &str) -> Self {
        if text == "b" { Self::B } else { Self::A }
    }

    /// As the checkpoint has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Where a build goes on while this one serves.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The schema of its tables.
    pub(crate) const fn schema(self) -> &'static str {
        match self {
            Self::A => "read_models_a",
            Self::B => "read_models_b",
        }
    }
}

/// A transaction in which the bare name of a read model's table means the one of this place. It neither runs nor stands still for
/// longer than `bound`: a frozen process must not hold what others wait for. Rows that can be folded again need not wait for the disk.
pub(crate) async fn begin(
    pool: &PgPool,
    place: Place,
    bound: Duration,
    durable: bool,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (schema, ms) = (place.schema(), bound.as_millis());
    let commit = if durable { "" } else { "; set local synchronous_commit = off" };
    begin_with(
        pool,
        format!(
            "begin; set local search_path = {schema}, public; set local statement_timeout = {ms}; \
             set local idle_in_transaction_session_timeout = {ms}{commit}"
        ),
    )
    .await
}
