//! Why a use case says no: one closed list of codes, each with a sentence and, where there is one, the input's field and what is wrong with
//! its value.

mod of_rules;
mod together;

use std::borrow::Cow;

use atelier_domain::credit_ledger::CapPeriod;
use atelier_domain::{Credits, Invalid, Reason};
use chrono::TimeDelta;

use crate::command_path::CommandError;

pub use together::{Together, each, together};

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
    /// A verification link takes something of its sign-up as well, or a new password (U26).
    SignUpProofRequired,
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
    /// The idempotency key was used for another request (L07).
    IdempotencyConflict,
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
            Self::SignUpProofRequired => "sign_up_proof_required",
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
            Self::IdempotencyConflict => "idempotency_conflict",
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

/// What is missing, when credits are why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Of the balance.
    Balance {
        /// What the request needs.
        required: Credits,
        /// What is available.
        available: Credits,
    },
    /// Of a key's cap.
    Budget(SpentBudget),
}

/// A no, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of no it is.
    pub code: RefusalCode,
    /// The input's field, in snake case, if one is to blame; an item of a list by its number, as `choices.2.kind`.
    pub field: Option<Cow<'static, str>>,
    /// A whole sentence for a person; never quotes personal input.
    pub message: String,
    /// What is wrong with the field's value, when it is about a value.
    pub value: Option<Box<Invalid>>,
    /// For credits: what is missing.
    pub shortage: Option<Box<Shortage>>,
    /// For tries: after how long another one counts.
    pub retry_after: Option<TimeDelta>,
    /// The other wrong fields of the same input, each by itself.
    pub also: Vec<Refusal>,
}

impl Refusal {
    /// A no without a field.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            field: None,
            message: message.into(),
            value: None,
            shortage: None,
            retry_after: None,
            also: Vec::new(),
        }
    }

    /// A no for now: another try counts after so long.
    #[must_use]
    pub fn too_many(retry_after: TimeDelta) -> Self {
        let message = format!("Too many tries; try again in {} seconds.", retry_after.num_seconds().max(1));
        Self { retry_after: Some(retry_after), ..Self::new(RefusalCode::RateLimited, message) }
    }

    /// A no to one field's value.
    #[must_use]
    pub fn value(field: impl Into<Cow<'static, str>>, invalid: Invalid) -> Self {
        let field = field.into();
        let message = format!("The {} {invalid}.", label(&field));
        Self { field: Some(field), value: Some(Box::new(invalid)), ..Self::new(RefusalCode::InvalidField, message) }
    }

    /// A no to one field's value that has a code of its own.
    #[must_use]
    pub fn coded(
        code: RefusalCode,
        field: impl Into<Cow<'static, str>>,
        reason: Reason,
        message: &'static str,
    ) -> Self {
        let value = Some(Box::new(Invalid::new(reason, message)));
        Self { field: Some(field.into()), value, ..Self::new(code, message) }
    }

    /// An id that is none of ours, or names nothing of the caller's: which, is not said.
    #[must_use]
    pub fn unknown_id(field: impl Into<Cow<'static, str>>) -> Self {
        Self::coded(RefusalCode::NotFound, field, Reason::Unknown, "There is no such thing.")
    }

    /// The same no, to a field.
    #[must_use]
    pub fn about(mut self, field: &'static str) -> Self {
        self.field = Some(field.into());
        self
    }

    /// This refusal and another one of the same input. A field that is named already keeps its first refusal.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for refusal in other.into_each() {
            if refusal.field.is_none() || self.each().all(|known| known.field != refusal.field) {
                self.also.push(refusal);
            }
        }
        self
    }

    /// The refusals of the input, the first one first.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.also)
    }

    /// The same, each by itself.
    pub fn into_each(mut self) -> impl Iterator<Item = Self> {
        let also = std::mem::take(&mut self.also);
        std::iter::once(self).chain(also)
    }
}

/// What a person calls a field.
fn label(field: &str) -> String {
    let name = field.rsplit('.').find(|part| part.parse::<usize>().is_err()).unwrap_or(field);
    match name {
        "email" => "email address".to_owned(),
        "bio" => "biography".to_owned(),
        "minimum_age" => "age".to_owned(),
        "num_images" => "number of images".to_owned(),
        "overlap_hours" => "overlap in hours".to_owned(),
        "expires_at" => "expiry".to_owned(),
        name => name.replace('_', " "),
    }
}

/// An id of an input: read, or the refusal that there is no such thing.
pub type Named<I> = Result<I, Refusal>;

/// What a use case fails with.
pub type UseCaseError = CommandError<Refusal>;

impl From<Refusal> for UseCaseError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Takes a refusal out of what failed, to be told beside others; every other failure goes on.
///
/// # Errors
/// What is no refusal.
pub(crate) fn refused<T>(done: Result<T, UseCaseError>) -> Result<Result<T, Refusal>, UseCaseError> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(CommandError::Refused(refusal)) => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

/// Names the field of a refused value.
///
/// # Errors
/// The refusal of the value.
pub fn in_field<T>(field: impl Into<Cow<'static, str>>, parsed: Result<T, Invalid>) -> Result<T, Refusal> {
    parsed.map_err(|invalid| Refusal::value(field, invalid))
}

#[cfg(test)]
mod tests;
