//! Why a command did nothing, or why nobody knows.

use atelier_vault::credential_rows::RowError;
use atelier_vault::{QuarantineError, VaultError};

use crate::event_store::{AppendError, LoadError};

/// Why a command did nothing, or why nobody knows. `Refused` is a rule's word; everything else is not (L06).
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E> {
    /// A rule refused.
    #[error("{0}")]
    Refused(E),
    /// The aggregate stayed too busy.
    #[error("too many commands at the same moment; try again")]
    Conflict,
    /// The idempotency key was used before for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Overloaded or unreachable: nothing was done; try again later.
    #[error("temporarily unavailable")]
    Unavailable,
    /// The outcome is unknown (503 `outcome_unknown`).
    #[error("the outcome is unknown; ask again with the same idempotency key")]
    OutcomeUnknown,
    /// The account's key is gone: it was erased.
    #[error("the account was erased")]
    Erased,
    /// A fault that a person must look at; the cause is for logs, the edges never send it.
    #[error("internal error: {0}")]
    Internal(String),
}

impl<E> CommandError<E> {
    /// The same error with the rule's refusal turned into another type.
    pub fn map<F>(self, map: impl FnOnce(E) -> F) -> CommandError<F> {
        match self {
            Self::Refused(refusal) => CommandError::Refused(map(refusal)),
            Self::Conflict => CommandError::Conflict,
            Self::KeyReused => CommandError::KeyReused,
            Self::Unavailable => CommandError::Unavailable,
            Self::OutcomeUnknown => CommandError::OutcomeUnknown,
            Self::Erased => CommandError::Erased,
            Self::Internal(cause) => CommandError::Internal(cause),
        }
    }

    /// What an append that was not written means for its command.
    pub(super) fn of_append(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Conflict,
            AppendError::KeyReused => Self::KeyReused,
            AppendError::Overloaded | AppendError::ClockAhead => Self::Unavailable,
            AppendError::OutcomeUnknown => Self::OutcomeUnknown,
            AppendError::Rejected(code) => Self::Internal(format!("append refused: {code}")),
        }
    }
}

impl<E> From<VaultError> for CommandError<E> {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::KeyShredded => Self::Erased,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl<E> From<RowError> for CommandError<E> {
    fn from(error: RowError) -> Self {
        tracing::warn!(%error, "a row beside the log could not be reached");
        Self::Unavailable
    }
}

impl<E> From<QuarantineError> for CommandError<E> {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Rows(error) => error.into(),
            QuarantineError::Keys(error) => Self::Internal(error.to_string()),
        }
    }
}

impl<E> From<LoadError> for CommandError<E> {
    fn from(error: LoadError) -> Self {
        tracing::warn!(%error, "the log could not be read");
        Self::Unavailable
    }
}
