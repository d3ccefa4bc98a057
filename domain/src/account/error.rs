//! Why an account refuses.

use chrono::{DateTime, Utc};

/// A refusal of the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The account was never opened, was abandoned, or is being deleted.
    #[error("There is no such account.")]
    NotOpen,
    /// This id was opened or abandoned before.
    #[error("This account id is already used.")]
    AlreadyUsed,
    /// The declared age is below the least (U42).
    #[error("You must be at least {0} years old.")]
    TooYoung(u8),
    /// What was proven is not the account's address any more (U26, A13).
    #[error("The account has another address by now.")]
    AnotherAddress,
    /// An account whose address was proven does not end as a sign-up (U26).
    #[error("The address was proven.")]
    AddressProven,
    /// The address must be verified first (U26).
    #[error("Verify the email address first.")]
    EmailNotVerified,
    /// The plan does not allow it (A24).
    #[error("This needs a premium plan.")]
    PlanRequired,
    /// The handle was changed not long ago (U29).
    #[error("The username can be changed again on {}.", .0.format("%Y-%m-%d"))]
    RenamedRecently(DateTime<Utc>),
    /// The bound on keys that are not revoked is reached.
    #[error("At most {0} API keys are allowed; revoke one first.")]
    TooManyApiKeys(usize),
    /// The key is revoked, or never was.
    #[error("There is no such API key.")]
    NoSuchApiKey,
    /// The expiry lies in the past.
    #[error("The expiry must lie in the future.")]
    ExpiryInThePast,
    /// The bound on identities is reached.
    #[error("At most {0} identities are allowed; unlink one first.")]
    TooManyIdentities(usize),
    /// Nothing else would let the owner in.
    #[error("This is the only way to sign in; set a password first.")]
    LastWayIn,
    /// The second factor is on already.
    #[error("Two-factor authentication is on already.")]
    TwoFactorOn,
    /// The second factor is off.
    #[error("Two-factor authentication is off.")]
    TwoFactorOff,
    /// Staff have asked for it to be turned off already (U36).
    #[error("The second factor is going to be turned off already.")]
    TwoFactorResetPending,
    /// Nobody asked for the second factor to be turned off, it was stopped, or it is not yet due (U36).
    #[error("The second factor is not due to be turned off.")]
    TwoFactorResetNotDue,
    /// A copy is being made already (U25).
    #[error("A data export is being prepared already.")]
    ExportUnderWay,
    /// Erasing takes a request first.
    #[error("The deletion was not requested.")]
    DeletionNotRequested,
}
