//! Roles, and what staff do to somebody's account (A13).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text::{Email, StaffReason};
use crate::{AccountId, ApiKeyId, Sealed, SessionId};

/// What a member of the staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks accounts up and helps their owners: changes an address, turns a lost second factor off, ends sessions and keys.
    Support,
    /// Reads every ledger and every account's history, and changes nothing (sec.A2).
    Auditor,
    /// What support may, and grants and withdraws roles.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Support, Self::Auditor, Self::Admin];

    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Finds a role by its word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What was done to an account by staff, for its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaffAction {
    /// Looked at what only the owner sees.
    AccountViewed,
    /// Changed the address.
    EmailChanged,
    /// Asked for the second factor to be turned off after a while (U36).
    TwoFactorResetRequested,
    /// Turned the second factor off (U36).
    TwoFactorDisabled,
    /// Ended a session.
    SessionEnded,
    /// Revoked an API key.
    ApiKeyRevoked,
    /// Granted a role.
    RoleGranted,
    /// Withdrew a role.
    RoleWithdrawn,
}

/// What staff ask of an account; always with a reason, and recorded in one append with its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffCommand {
    /// Record that it was looked at.
    View,
    /// Change the address; it is unverified again, unless it is the one it was.
    ChangeEmail {
        /// The new address.
        email: Email,
        /// It is too late to change it: nothing is done.
        unchanged: bool,
    },
    /// Turn the second factor off once its owner has had time to say no (U36).
    RequestTwoFactorReset {
        /// Refused when the account has another address by now; whichever it is, when not given.
        address: Option<Sealed>,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Turn the second factor off; only when that was asked for, is due, and was not stopped.
    DisableTwoFactor {
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// End a session.
    EndSession {
        /// The session.
        session_id: SessionId,
    },
    /// End every session.
    EndSessions,
    /// Revoke an API key.
    RevokeApiKey {
        /// The key.
        key_id: ApiKeyId,
    },
    /// Grant a role.
    GrantRole {
        /// The role.
        role: Role,
    },
    /// Withdraw a role.
    WithdrawRole {
        /// The role.
        role: Role,
    },
}

/// Who of the staff, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffOrder {
    /// Who did it; `None` for the operator at the console, who needs no account.
    pub staff: Option<AccountId>,
    /// Why; the account's owner can read it.
    pub reason: StaffReason,
}

/// A second factor that will be turned off by staff, unless its owner says no (U36).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoFactorReset {
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// Who of the staff asked for it.
    pub staff: Option<AccountId>,
    /// Why, sealed under the field `reason`.
    pub reason: Option<Sealed>,
}
