//! Why a use case says no: one closed list of codes, each with a sentence and, where there is one, the input's field.

use atelier_domain::Credits;
use atelier_domain::account::AccountError;
use atelier_domain::credit_ledger::{CapPeriod, CreditLedgerError};
use atelier_domain::generation::GenerationError;
use atelier_domain::text::InvalidText;
use chrono::TimeDelta;

use crate::command_path::CommandError;

/// When it is worth asking again while others are at work: a generation takes seconds.
const AT_WORK: TimeDelta = TimeDelta::seconds(2);

/// What kind of no it is. The edges map each to their own form, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// A field is missing, malformed or out of range.
    InvalidField,
    /// The username belongs to somebody else.
    UsernameTaken,
    /// Email or password is wrong; which of them is not said (sec.S4).
    InvalidCredentials,
    /// The account has no password; it proves itself otherwise (A16).
    NoPassword,
    /// The address belongs to an account: its owner signs in to it and links the identity (U30).
    LinkRequired,
    /// A mail's link is wrong, used or expired.
    InvalidToken,
    /// The address must be verified first (U26).
    EmailNotVerified,
    /// The plan does not allow it (A24).
    PlanRequired,
    /// Not enough credits (402).
    InsufficientCredits,
    /// Dearer than the caller allowed (`max_credits`).
    TooExpensive,
    /// No such thing, or not the caller's.
    NotFound,
    /// The model is not on offer.
    ModelUnavailable,
    /// The job has ended.
    AlreadyEnded,
    /// The job is still at work.
    StillRunning,
    /// A bound on how many there may be is reached.
    LimitReached,
    /// Too many generations at work (429, U34).
    ConcurrencyLimit,
    /// Too many tries; not before `retry_after` (sec.R5, U35).
    RateLimited,
    /// It takes a fresh proof of who is asking (sec.S7).
    ReauthenticationRequired,
    /// The code of the second factor is wrong or was used (sec.T1).
    InvalidCode,
    /// It is that way already, or something else is in its way.
    NotPossibleNow,
    /// A role is missing (sec.A1).
    Forbidden,
    /// A role counts only while the second factor is on.
    TwoFactorRequired,
    /// The key has spent what it may (402, U21).
    KeyBudgetExceeded,
    /// The upload is no image, too big, or too large to decode (sec.U3).
    InvalidImage,
}

impl RefusalCode {
    /// The code as the seeds' APIs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidField => "invalid_field",
            Self::UsernameTaken => "username_taken",
            Self::InvalidCredentials => "invalid_credentials",
            Self::NoPassword => "no_password",
            Self::LinkRequired => "link_required",
            Self::InvalidToken => "invalid_token",
            Self::EmailNotVerified => "email_not_verified",
            Self::PlanRequired => "plan_required",
            Self::InsufficientCredits => "insufficient_credits",
            Self::TooExpensive => "max_credits_exceeded",
            Self::NotFound => "not_found",
            Self::ModelUnavailable => "model_unavailable",
            Self::AlreadyEnded => "already_ended",
            Self::StillRunning => "still_running",
            Self::LimitReached => "limit_reached",
            Self::ConcurrencyLimit => "concurrency_limit",
            Self::RateLimited => "rate_limit_exceeded",
            Self::ReauthenticationRequired => "reauthentication_required",
            Self::InvalidCode => "invalid_code",
            Self::NotPossibleNow => "not_possible_now",
            Self::Forbidden => "forbidden",
            Self::TwoFactorRequired => "two_factor_required",
            Self::KeyBudgetExceeded => "key_budget_exceeded",
            Self::InvalidImage => "invalid_image",
        }
    }
}

/// What a key may spend and has spent, when that is why (U21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentBudget {
    /// Of one UTC day, or of the key's life.
    pub period: CapPeriod,
    /// The cap.
    pub cap: Credits,
    /// What is held or paid of it.
    pub spent: Credits,
    /// What the request needs.
    pub required: Credits,
}

/// A no, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of no it is.
    pub code: RefusalCode,
    /// The input's field, in snake case, if one is to blame.
    pub field: Option<&'static str>,
    /// A sentence for a person; never quotes personal input.
    pub message: String,
    /// For credits: what is required and what is available.
    pub credits: Option<(Credits, Credits)>,
    /// For `key_budget_exceeded`: which cap, and how much of it is spent.
    pub budget: Option<Box<SpentBudget>>,
    /// For tries: after how long another one counts.
    pub retry_after: Option<TimeDelta>,
}

impl Refusal {
    /// A no without a field.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into(), credits: None, budget: None, retry_after: None }
    }

    /// A no for now: another try counts after so long.
    #[must_use]
    pub fn too_many(retry_after: TimeDelta) -> Self {
        let message = format!("Too many tries; try again in {} seconds.", retry_after.num_seconds().max(1));
        Self { retry_after: Some(retry_after), ..Self::new(RefusalCode::RateLimited, message) }
    }

    /// A no to one field of the input.
    #[must_use]
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::InvalidField,
            field: Some(field),
            message: message.into(),
            credits: None,
            budget: None,
            retry_after: None,
        }
    }
}

/// What a use case fails with.
pub type UseCaseError = CommandError<Refusal>;

impl From<Refusal> for UseCaseError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Names the field of a refused text.
pub(crate) fn in_field<T>(field: &'static str, parsed: Result<T, InvalidText>) -> Result<T, UseCaseError> {
    parsed.map_err(|error| Refusal::field(field, format!("{field} {error}")).into())
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        let code = match error {
            AccountError::NotOpen => RefusalCode::NotFound,
            AccountError::AnotherAddress => RefusalCode::InvalidToken,
            AccountError::AlreadyUsed => RefusalCode::InvalidField,
            AccountError::EmailNotVerified => RefusalCode::EmailNotVerified,
            AccountError::PlanRequired => RefusalCode::PlanRequired,
            AccountError::TooManyApiKeys(_) => RefusalCode::LimitReached,
            AccountError::ExpiryInThePast => return Self::field("expires_at", error.to_string()),
            AccountError::TooYoung(_) => return Self::field("minimum_age", error.to_string()),
            AccountError::NoSuchApiKey => RefusalCode::NotFound,
            AccountError::TooManyIdentities(_) => RefusalCode::LimitReached,
            AccountError::RenamedRecently(_)
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
            GenerationError::InvalidResult => RefusalCode::InvalidField,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CreditLedgerError> for Refusal {
    fn from(error: CreditLedgerError) -> Self {
        match error {
            CreditLedgerError::InsufficientCredits { required, available } => Self {
                code: RefusalCode::InsufficientCredits,
                field: None,
                message: format!("This request needs {required} credits, and {available} are available."),
                credits: Some((required, available)),
                budget: None,
                retry_after: None,
            },
            CreditLedgerError::BalanceFull { .. } => {
                Self { field: Some("amount"), ..Self::new(RefusalCode::LimitReached, error.to_string()) }
            }
            CreditLedgerError::Closed => Self::new(RefusalCode::NotFound, error.to_string()),
            CreditLedgerError::KeyBudgetExceeded { period, cap, spent, required } => {
                let when = match period {
                    CapPeriod::Day => "a day",
                    CapPeriod::Life => "in all",
                };
                let message = format!(
                    "This key may spend {cap} credits {when}; {spent} are spent, and this request needs {required}."
                );
                let budget = Some(Box::new(SpentBudget { period, cap, spent, required }));
                Self { budget, ..Self::new(RefusalCode::KeyBudgetExceeded, message) }
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
            other => Self::new(RefusalCode::InvalidField, other.to_string()),
        }
    }
}
