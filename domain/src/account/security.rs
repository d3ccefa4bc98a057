//! How an account proves who its owner is: passwords, identities elsewhere, the second factor. Facts only; what is secret is a row.

use serde::{Deserialize, Serialize};

/// How a password came to be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordVia {
    /// By its owner, with the old one (V08).
    Change,
    /// By a mail's link (A15).
    Reset,
    /// The account had none: it signed up elsewhere (A16).
    Added,
}

/// Who else vouches for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityProvider {
    /// Google, by OpenID Connect (A16).
    Google,
}

impl IdentityProvider {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
        }
    }
}

/// Who turned the second factor off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TwoFactorEnd {
    /// Its owner.
    Owner,
    /// Staff, because it was lost (U36).
    Staff,
}
