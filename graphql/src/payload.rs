//! What every mutation answers with: the thing, the refusals as data, and the position to read from (DESIGN 6).

use async_graphql::{Enum, Result, SimpleObject};
use atelier_commands::{CommandError, Refusal, RefusalCode, UseCaseError};

use crate::error::command_fault;
use crate::number::int;

/// Why a rule refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "RefusalCode")]
pub enum UserErrorCode {
    /// A field is missing, malformed or out of range.
    InvalidField,
    /// The username belongs to somebody else.
    UsernameTaken,
    /// Email or password is wrong.
    InvalidCredentials,
    /// The account has no password: it proves itself by Google or the second factor, and gets one by `requestPasswordReset`.
    NoPassword,
    /// There is an account with this address: sign in to it, then link Google.
    LinkRequired,
    /// The link or code is wrong, used or expired.
    InvalidToken,
    /// The address must be verified first.
    EmailNotVerified,
    /// The plan does not allow it.
    PlanRequired,
    /// Not enough credits.
    InsufficientCredits,
    /// Dearer than `maxCredits` allows.
    TooExpensive,
    /// No such thing, or not the caller's.
    NotFound,
    /// The model is not on offer.
    ModelUnavailable,
    /// The job has ended.
    AlreadyEnded,
    /// The job is still at work.
    StillRunning,
    /// A bound is reached.
    LimitReached,
    /// As many generations are at work as may be at once.
    ConcurrencyLimit,
    /// Too many tries; not before `retryAfter`.
    RateLimited,
    /// It takes a fresh proof of who is asking.
    ReauthenticationRequired,
    /// The code is wrong or was used.
    InvalidCode,
    /// It is that way already, or something else is in its way.
    NotPossibleNow,
    /// A role is missing.
    Forbidden,
    /// A role counts only while the second factor is on.
    TwoFactorRequired,
    /// The key has spent what it may.
    KeyBudgetExceeded,
    /// The upload is no image, too big, or too large to decode.
    InvalidImage,
}

/// A rule's refusal.
#[derive(Debug, Clone, SimpleObject)]
pub struct UserError {
    /// Why.
    code: UserErrorCode,
    /// The input's field that is to blame, if one is.
    field: Option<String>,
    /// A sentence for a person.
    message: String,
    /// For credits: how many are required.
    required: Option<i32>,
    /// For credits: how many are available.
    available: Option<i32>,
    /// For `RATE_LIMITED`: after how many seconds another try counts.
    retry_after: Option<i32>,
}

impl UserError {
    /// Whether it says to come again later, and nothing else.
    pub(crate) fn is_rate_limited(&self) -> bool {
        self.code == UserErrorCode::RateLimited
    }
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name.push_str(&head.to_ascii_uppercase());
        name.push_str(tail);
        name
    })
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code.into(),
            field: refusal.field.map(camel_case),
            message: refusal.message,
            required: refusal.credits.map(|(required, _)| int(required.get())),
            available: refusal.credits.map(|(_, available)| int(available.get())),
            retry_after: refusal.retry_after.map(|wait| int(wait.num_seconds().max(1))),
        }
    }
}

/// Parts a use case's answer: done, refused by a rule, or a fault.
pub(crate) fn outcome<T>(result: Result<T, UseCaseError>) -> Result<std::result::Result<T, UserError>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(CommandError::Refused(refusal)) => Ok(Err(refusal.into())),
        Err(fault) => Err(command_fault(&fault)),
    }
}

/// Declares a mutation's payload: its own fields, then `userErrors` and `position`.
macro_rules! payload {
    ($(#[$doc:meta])+ $name:ident { $($(#[$field_doc:meta])+ $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])+
        #[derive(async_graphql::SimpleObject, Default)]
        pub struct $name {
            $($(#[$field_doc])+ pub $field: Option<$kind>,)*
            /// Why a rule refused; empty when it was done.
            pub user_errors: Vec<$crate::payload::UserError>,
            /// The position to read from to see what was done; null when nothing was.
            pub position: Option<String>,
        }

        impl $name {
            /// The answer to a refusal.
            pub(crate) fn refused(error: $crate::payload::UserError) -> Self {
                Self { user_errors: vec![error], ..Self::default() }
            }
        }
    };
}
pub(crate) use payload;

/// A field of the input that is not an id of the right kind.
pub(crate) fn unknown_id(field: &'static str) -> UserError {
    Refusal { field: Some(field), ..Refusal::new(RefusalCode::NotFound, "There is no such thing.") }.into()
}
