//! What the refusals of the aggregates are to a client.

use atelier_domain::account::AccountError;
use atelier_domain::credit_ledger::{CapPeriod, CreditLedgerError};
use atelier_domain::generation::GenerationError;
use atelier_domain::policy::account::declared_age;
use atelier_domain::{Invalid, Reason};
use chrono::TimeDelta;

use super::{Refusal, RefusalCode, Shortage, SpentBudget};

/// When it is worth asking again while others are at work: a generation takes seconds.
const AT_WORK: TimeDelta = TimeDelta::seconds(2);

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        let code = match error {
            AccountError::NotOpen | AccountError::NoSuchApiKey => RefusalCode::NotFound,
            AccountError::AnotherAddress => RefusalCode::InvalidToken,
            AccountError::AlreadyUsed => return Self::value("id", Invalid::new(Reason::Taken, "is already used")),
            AccountError::EmailNotVerified => RefusalCode::EmailNotVerified,
            AccountError::PlanRequired => RefusalCode::PlanRequired,
            AccountError::ExpiryInThePast => {
                return Self::value("expires_at", Invalid::new(Reason::InThePast, "must lie in the future"));
            }
            AccountError::TooYoung(_) => {
                let invalid = declared_age(0).err().map(Box::new);
                let refusal = Self::new(RefusalCode::InvalidField, error.to_string()).about("minimum_age");
                return Self { value: invalid, ..refusal };
            }
            AccountError::TooManyApiKeys(_) | AccountError::TooManyIdentities(_) => RefusalCode::LimitReached,
            AccountError::AddressProven
            | AccountError::RenamedRecently(_)
            | AccountError::LastWayIn
            | AccountError::TwoFactorOn
            | AccountError::TwoFactorOff
            | AccountError::TwoFactorResetPending
            | AccountError::TwoFactorResetNotDue
            | AccountError::ExportUnderWay
            | AccountError::DeletionNotRequested => RefusalCode::NotPossibleNow,
        };
        Self::new(code, error.to_string())
    }
}

impl From<GenerationError> for Refusal {
    fn from(error: GenerationError) -> Self {
        let code = match error {
            GenerationError::NotFound | GenerationError::AlreadyUsed => RefusalCode::NotFound,
            GenerationError::AlreadyEnded => RefusalCode::AlreadyEnded,
            GenerationError::StillRunning => RefusalCode::StillRunning,
            GenerationError::InvalidResult => {
                return Self::value("result", Invalid::new(Reason::Format, "does not fit the request"));
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<CreditLedgerError> for Refusal {
    fn from(error: CreditLedgerError) -> Self {
        match error {
            CreditLedgerError::InsufficientCredits { required, available } => {
                let message = format!("This request needs {required} credits, and {available} are available.");
                let shortage = Some(Box::new(Shortage::Balance { required, available }));
                Self { shortage, ..Self::new(RefusalCode::InsufficientCredits, message) }
            }
            CreditLedgerError::KeyBudgetExceeded { period, cap, spent, required } => {
                let when = match period {
                    CapPeriod::Day => "a day",
                    CapPeriod::Life => "in all",
                };
                let message = format!(
                    "This key may spend {cap} credits {when}; {spent} are spent, and this request needs {required}."
                );
                let shortage = Some(Box::new(Shortage::Budget(SpentBudget { period, cap, spent, required })));
                Self { shortage, ..Self::new(RefusalCode::KeyBudgetExceeded, message) }
            }
            CreditLedgerError::TooManyBudgets(_) => Self::new(
                RefusalCode::KeyBudgetExceeded,
                "Too many keys with caps were used on this account; use one of those, or rotate it.",
            ),
            CreditLedgerError::TooManyHolds(most) => {
                let message =
                    format!("{most} generations are at work, as many as may be at once; try again when one has ended.");
                Self { retry_after: Some(AT_WORK), ..Self::new(RefusalCode::ConcurrencyLimit, message) }
            }
            CreditLedgerError::BalanceFull { most, room } => {
                let says = format!("must be at most {room}: a balance ends at {most} credits");
                let invalid = Invalid::at_most(Reason::OutOfRange, room.get(), says);
                Self { code: RefusalCode::LimitReached, ..Self::value("amount", invalid) }
            }
            CreditLedgerError::AmountOutOfRange => {
                Self::value("amount", Invalid::new(Reason::OutOfRange, "is out of range"))
            }
            CreditLedgerError::CaptureExceedsHold { requested: _, held } => {
                let says = format!("must be at most {held}, which is held");
                Self::value("amount", Invalid::at_most(Reason::OutOfRange, held.get(), says))
            }
            CreditLedgerError::AlreadyExpired => {
                Self::value("expires_at", Invalid::new(Reason::InThePast, "must lie in the future"))
            }
            CreditLedgerError::ReasonMissing => Self::value("reason", Invalid::new(Reason::Required, "is required")),
            CreditLedgerError::IdReused => {
                Self::value("id", Invalid::new(Reason::Taken, "is already used with other terms"))
            }
            CreditLedgerError::Closed => Self::new(RefusalCode::NotFound, "There is no such ledger any more."),
            CreditLedgerError::HoldNotOpen | CreditLedgerError::HoldEnded => {
                Self::new(RefusalCode::NotPossibleNow, "The credits for this are not held any more.")
            }
            CreditLedgerError::HoldsOpen => {
                Self::new(RefusalCode::NotPossibleNow, "Credits are still held for running generations.")
            }
        }
    }
}
