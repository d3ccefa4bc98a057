//! What every mutation answers with: the thing, the refusals as data, and the position to read from (DESIGN 6).

use async_graphql::{Enum, Result, SimpleObject};
use atelier_commands::refusal::Shortage;
use atelier_commands::{CommandError, Refusal, RefusalCode, UseCaseError};
use atelier_domain::Reason;

use crate::error::command_fault;
use crate::number::{Long, int};

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
    /// The link takes something of its sign-up as well: `signUpToken`, `password` or a session; or a `newPassword`.
    SignUpProofRequired,
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
    /// The idempotency key was used for another request.
    IdempotencyConflict,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Reason")]
pub enum UserErrorReason {
    /// It is missing.
    Required,
    /// A text is shorter than `min`.
    TooShort,
    /// A text is longer than `max`.
    TooLong,
    /// A number is not within `min` and `max`.
    OutOfRange,
    /// A list has fewer than `min` items.
    TooFew,
    /// A list has more than `max` items.
    TooMany,
    /// It is of another type than the field.
    Type,
    /// It has a character that is not allowed here: a control character, a bidirectional override, or one outside the field's alphabet.
    Characters,
    /// It is not of the form that the field asks for.
    Format,
    /// A password lacks a number or a symbol.
    Composition,
    /// A password is common, or made of its owner's names.
    TooCommon,
    /// It is kept for the studio itself.
    Reserved,
    /// It belongs to another account.
    Taken,
    /// It is in the list twice.
    Duplicate,
    /// It names something that does not exist, or not for this account.
    Unknown,
    /// It exists, but is not allowed in this field.
    NotAllowed,
    /// It is not the one that counts: a password, a code, a link or a confirmation.
    Wrong,
    /// An instant is not in the future.
    InThePast,
    /// An instant is too far in the future.
    TooFarAhead,
    /// Exactly one of several fields must be given.
    ExactlyOne,
}

/// A rule's refusal; every wrong field of an input has its own.
#[derive(Debug, Clone, SimpleObject)]
pub struct UserError {
    /// Why.
    code: UserErrorCode,
    /// The input's field that is to blame, if one is, as the input names it; an item of a list by its number: `choices.2.kind`.
    field: Option<String>,
    /// A sentence for a person.
    message: String,
    /// What is wrong with the field's value, to be translated; null when the error is not about a value.
    reason: Option<UserErrorReason>,
    /// The least that is allowed, where a bound is the reason: characters, items, or the number itself.
    min: Option<Long>,
    /// The most that is allowed, where a bound is the reason.
    max: Option<Long>,
    /// For credits: how many are required.
    required: Option<i32>,
    /// For credits: how many are available.
    available: Option<i32>,
    /// For `RATE_LIMITED`: after how many seconds another try counts.
    retry_after: Option<i32>,
}

/// A field as the input names it, each part of its path.
fn as_written(field: &str) -> String {
    field.split('.').map(camel_case).collect::<Vec<_>>().join(".")
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

impl UserError {
    fn of(refusal: Refusal) -> Self {
        let value = refusal.value.as_deref();
        let (required, available) = match refusal.shortage.as_deref() {
            Some(Shortage::Balance { required, available }) => (Some(required.get()), Some(available.get())),
            Some(Shortage::Budget(_)) | None => (None, None),
        };
        Self {
            code: refusal.code.into(),
            field: refusal.field.as_deref().map(as_written),
            reason: value.map(|value| value.reason.into()),
            min: value.and_then(|value| value.min).map(Long::of),
            max: value.and_then(|value| value.max).map(Long::of),
            message: refusal.message,
            required: required.map(int),
            available: available.map(int),
            retry_after: refusal.retry_after.map(|wait| int(wait.num_seconds().max(1))),
        }
    }
}

/// Why a rule refused: every wrong field of the input.
#[derive(Debug)]
pub struct UserErrors(pub(crate) Vec<UserError>);

impl UserErrors {
    /// Whether they say to come again later, and nothing else.
    pub(crate) fn is_rate_limited(&self) -> bool {
        self.0.iter().all(|error| error.code == UserErrorCode::RateLimited)
    }
}

impl From<Refusal> for UserErrors {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into_each().map(UserError::of).collect())
    }
}

/// Parts a use case's answer: done, refused by a rule, or a fault. An idempotency key that was used for another request is the client's
/// to correct, like a field.
pub(crate) fn outcome<T>(result: Result<T, UseCaseError>) -> Result<std::result::Result<T, UserErrors>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(CommandError::Refused(refusal)) => Ok(Err(refusal.into())),
        Err(CommandError::KeyReused) => {
            let message = "The idempotency key was used for another request.";
            Ok(Err(Refusal::new(RefusalCode::IdempotencyConflict, message).about("idempotency_key").into()))
        }
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
            pub(crate) fn refused(errors: impl Into<$crate::payload::UserErrors>) -> Self {
                let $crate::payload::UserErrors(user_errors) = errors.into();
                Self { user_errors, ..Self::default() }
            }
        }
    };
}
pub(crate) use payload;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_the_input_names_it() {
        let names = [("display_name", "displayName"), ("choices.2.kind", "choices.2.kind"), ("ids.0", "ids.0")];
        for (field, written) in names {
            assert_eq!(as_written(field), written);
        }
        assert_eq!(as_written("a_list.10.one_field"), "aList.10.oneField");
    }
}
