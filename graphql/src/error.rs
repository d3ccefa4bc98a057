//! Faults as top-level errors with a code of a closed list; a rule's refusal is data instead (DESIGN 6).

use async_graphql::{Error, ErrorExtensions};
use atelier_commands::{CommandError, UseCaseError};
use atelier_projections::{ReadError, ReadModels};

fn coded(code: &str, message: &str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// Seconds after which a client may try again what a fault of the database kept from it.
const RETRY_AFTER: u32 = 1;

/// A fault of the database, which passes by itself. `retryAfter` tells it from what is unavailable for longer: an answer in which no
/// root field has data goes out as HTTP 503 for it.
fn passing(code: &str, message: &str) -> Error {
    coded(code, message).extend_with(|_, extensions| extensions.set("retryAfter", RETRY_AFTER))
}

/// A session is needed.
pub(crate) fn unauthenticated() -> Error {
    coded("UNAUTHENTICATED", "Sign in first.")
}

/// A session is needed, and the one that was brought does not count.
pub(crate) fn session_over() -> Error {
    coded("UNAUTHENTICATED", "This session is over, or its token is not valid: sign in again.")
}

/// A role is missing, or does not count; the same whatever is asked for (sec.A1).
pub(crate) fn forbidden(message: &str) -> Error {
    coded("FORBIDDEN", message)
}

/// There is no such thing, or it is not the caller's.
pub(crate) fn not_found() -> Error {
    coded("NOT_FOUND", "There is no such thing.")
}

/// An argument is malformed.
pub(crate) fn bad_input(message: &str) -> Error {
    coded("BAD_INPUT", message)
}

/// A query that reads for too long.
pub(crate) fn too_long() -> Error {
    coded("TOO_LONG", "The query takes too long; ask for less at once.")
}

/// Rows beside the log could not be read; the cause is logged, never sent.
pub(crate) fn unavailable(cause: &dyn std::error::Error) -> Error {
    tracing::error!(%cause, "a query failed");
    passing("UNAVAILABLE", "Temporarily unavailable.")
}

/// A read that failed, as the client sees it; the cause is logged, never sent.
pub(crate) fn read_fault(models: &ReadModels, error: &ReadError) -> Error {
    match error {
        ReadError::Stale { current } => coded("STALE_READ", "The read models have not reached this position yet.")
            .extend_with(|_, extensions| extensions.set("currentPosition", models.token(*current))),
        ReadError::PositionUnknown => {
            coded("POSITION_UNKNOWN", "The position is not one of this log, or not any more.")
        }
        ReadError::BadCursor(_) => coded("BAD_CURSOR", "The cursor is not one of this list."),
        // Not a fault of the database: an operator repairs it, and it concerns this account alone.
        ReadError::Quarantined(model) => coded("UNAVAILABLE", "This part of the account is being repaired.")
            .extend_with(|_, extensions| {
                extensions.set("reason", "QUARANTINED");
                extensions.set("model", *model);
            }),
        ReadError::Database(cause) => unavailable(cause),
        ReadError::Rows(cause) => unavailable(cause),
        ReadError::Vault(_) | ReadError::NotAsked(_) => {
            tracing::error!(cause = %error, "a query failed");
            coded("INTERNAL", "Internal error.")
        }
    }
}

/// A command that failed otherwise than by a rule, as the client sees it; the cause is logged, never sent.
pub(crate) fn command_fault(error: &UseCaseError) -> Error {
    match error {
        CommandError::Refused(refusal) => bad_input(&refusal.message),
        CommandError::Conflict => coded("CONFLICT", "Too many commands at the same moment; try again."),
        CommandError::KeyReused => coded("IDEMPOTENCY_CONFLICT", "The idempotency key was used for another request."),
        CommandError::Unavailable => passing("UNAVAILABLE", "Temporarily unavailable; try again later."),
        CommandError::OutcomeUnknown => {
            passing("OUTCOME_UNKNOWN", "The outcome is unknown; ask again with the same idempotency key.")
        }
        CommandError::Erased => coded("NOT_FOUND", "There is no such account."),
        CommandError::Internal(cause) => {
            tracing::error!(%cause, "a command failed");
            coded("INTERNAL", "Internal error.")
        }
    }
}
