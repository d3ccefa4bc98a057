//! Why a fold failed: of the events it was given, of its own SQL, or of something that passes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use atelier_domain::Envelope;
use futures::FutureExt;
use sqlx::PgConnection;

use crate::runner::Projection;

/// How the stored error of an event begins that this program does not understand; a newer one may.
pub(crate) const UNDECODABLE: &str = "cannot be decoded: ";
/// How it begins where so many accounts had such events that the follower stopped instead.
pub(crate) const FLOOD: &str = "too many accounts in a minute with events that cannot be decoded: ";
/// What is stored when a row could not be read as the fold's type, or written from it.
const CONVERSION: &str = "the row could not be converted";
/// What is stored when the fold panicked.
const PANIC: &str = "the fold panicked";
/// Data that a column or a constraint refuses (22, 23), or that exceeds a limit of the database, such as an index entry's size (54).
const DATA: [&str; 3] = ["22", "23", "54"];

/// Why a fold failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// One of the events cannot be folded; structure only. The others can.
    Events(String),
    /// The fold's SQL is wrong (class 42), whatever the events are; structure only.
    Fold(String),
    /// Something that passes.
    Passing(sqlx::Error),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{ColumnDecode, ColumnNotFound, Decode, Encode, TypeNotFound};
        let Some(of_database) = error.as_database_error() else {
            if matches!(error, ColumnDecode { .. } | Decode(_) | Encode(_)) {
                return Self::Events(CONVERSION.to_owned());
            }
            if matches!(error, ColumnNotFound(_) | TypeNotFound { .. }) {
                return Self::Fold(CONVERSION.to_owned());
            }
            return Self::Passing(error);
        };
        // The code and the constraint, never the message, which may quote a row.
        let code = of_database.code().unwrap_or_default().into_owned();
        let said = format!("SQLSTATE {code} {}", of_database.constraint().unwrap_or_default()).trim_end().to_owned();
        if DATA.iter().any(|class| code.starts_with(class)) {
            Self::Events(said)
        } else if code.starts_with("42") {
            Self::Fold(said)
        } else {
            Self::Passing(error)
        }
    }
}

/// Whether a stop of a release from before the quarantine was of the events: then this release goes on by itself, and quarantines
/// what still fails.
pub(crate) fn was_of_the_events(error: &str) -> bool {
    let sqlstate = error.strip_prefix("SQLSTATE ");
    sqlstate.is_some_and(|code| DATA.iter().any(|class| code.starts_with(class))) || error == CONVERSION
}

/// Folds events; a fold that panics has failed of them.
///
/// # Errors
/// The [`Fault`]. The transaction is then to be rolled back.
pub(crate) async fn apply(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    events: &[Arc<Envelope>],
) -> Result<(), Fault> {
    match AssertUnwindSafe(projection.apply(connection, events)).catch_unwind().await {
        Ok(applied) => Ok(applied?),
        Err(_) => Err(Fault::Events(PANIC.to_owned())),
    }
}
