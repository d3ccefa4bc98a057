//! Why an account refuses.

/// A refusal of the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The account was never opened, or was abandoned.
    #[error("there is no such account")]
    NotOpen,
    /// This id was opened or abandoned before.
    #[error("this account id is already used")]
    AlreadyUsed,
    /// The address must be verified first (U26).
    #[error("verify the email address first")]
    EmailNotVerified,
    /// The plan does not allow it (A24).
    #[error("this needs a premium plan")]
    PlanRequired,
    /// The bound on keys that are not revoked is reached.
    #[error("at most {0} API keys are allowed; revoke one first")]
    TooManyApiKeys(usize),
    /// The expiry lies in the past.
    #[error("the expiry must lie in the future")]
    ExpiryInThePast,
}
