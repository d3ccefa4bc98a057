//! Why a credit ledger refuses. A storage conflict is never one of these (L06).

use crate::Credits;

/// A refusal of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditLedgerError {
    /// Not enough spendable credits (402).
    #[error("insufficient credits: {required} required, {available} available")]
    InsufficientCredits {
        /// What the hold needs.
        required: Credits,
        /// What is spendable at the command's instant.
        available: Credits,
    },
    /// No open hold has this id: it never was, or it has ended, which it does exactly once (L10).
    #[error("no open hold has this id")]
    HoldNotOpen,
    /// A hold with this id has ended, or is older than all the ended holds the ledger still knows: it is not placed again (L10).
    #[error("the hold with this id has ended")]
    HoldEnded,
    /// The capture asks for more than was held.
    #[error("capture of {requested} exceeds the hold of {held}")]
    CaptureExceedsHold {
        /// What was asked.
        requested: Credits,
        /// What is held.
        held: Credits,
    },
    /// The amount is not positive, or past what a ledger may hold (L21).
    #[error("the amount is out of range")]
    AmountOutOfRange,
    /// The lot would be over before it began: its expiry is not after the command's instant (L13).
    #[error("the credits would already be expired")]
    AlreadyExpired,
    /// A grant must say where it comes from (L23).
    #[error("a grant needs a reason")]
    ReasonMissing,
    /// The ledger was closed with its account.
    #[error("the ledger is closed")]
    Closed,
    /// A hold must end before the ledger is closed.
    #[error("a hold is still open")]
    HoldsOpen,
    /// A lot or hold with this id exists with other terms.
    #[error("this id is already used with other terms")]
    IdReused,
}
