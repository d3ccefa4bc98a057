//! Why a credit ledger refuses. A storage conflict is never one of these (L06).

use super::CapPeriod;
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
    /// The API key has spent what it may (402, U21).
    #[error("the key may spend {cap}, {spent} are spent, {required} required")]
    KeyBudgetExceeded {
        /// Which of its caps.
        period: CapPeriod,
        /// The cap.
        cap: Credits,
        /// What the key holds or has paid.
        spent: Credits,
        /// What the hold needs.
        required: Credits,
    },
    /// The ledger remembers no more capped keys than this.
    #[error("{0} capped keys have been used; another one cannot be followed")]
    TooManyBudgets(usize),
    /// So many holds are open already (429, U34).
    #[error("{0} generations are at work already")]
    TooManyHolds(u32),
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
    /// The balance, with what is held, would be past what a ledger may hold. Granted is all or nothing: what is paid for is asked for first.
    #[error("a balance ends at {most} credits, and there is room for {room} more")]
    BalanceFull {
        /// The most there may be.
        most: Credits,
        /// What could still be granted.
        room: Credits,
    },
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
