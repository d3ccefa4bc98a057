//! Why a session ends.

use serde::{Deserialize, Serialize};

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Its owner signed out (A34).
    SignedOut,
    /// Its owner revoked it from elsewhere (V10).
    Revoked,
    /// The oldest gave way to a new one at the limit.
    Displaced,
    /// The password was changed or reset (C5).
    PasswordChanged,
    /// Staff ended it.
    ByStaff,
    /// The account is being deleted (sec.S6).
    AccountDeleted,
}
