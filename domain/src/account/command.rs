//! What may be asked of an account. What a decision needs (now, fresh ids) is in the command.

use chrono::{DateTime, Utc};

use super::{KeyScope, SessionEnd};
use crate::policy::plan::Plan;
use crate::text::{Bio, DisplayName, Email, KeyLabel, Username};
use crate::{ApiKeyId, Environment, SessionId};

/// A command on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCommand {
    /// Open the account (sign-up).
    Open {
        /// The address.
        email: Email,
        /// The handle.
        username: Username,
    },
    /// Close the door on an id whose claim went stale; refused once the account is open.
    Abandon,
    /// The address was proven; a repeat is a no-op.
    VerifyEmail,
    /// Change name, biography or both, atomically (A09).
    UpdateProfile {
        /// The new name, if it changes.
        display_name: Option<DisplayName>,
        /// The new biography, if it changes.
        bio: Option<Bio>,
    },
    /// Publish future generations to Explore, or not (A24-A26).
    SetPublishToExplore {
        /// On or off.
        publish: bool,
    },
    /// Put the account on a plan.
    AssignPlan {
        /// The plan.
        plan: Plan,
    },
    /// Start a session for somebody who proved who they are.
    StartSession {
        /// A fresh id.
        session_id: SessionId,
        /// The absolute end (U37).
        expires_at: DateTime<Utc>,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// End a session; a repeat is a no-op.
    EndSession {
        /// The session.
        session_id: SessionId,
        /// Why.
        reason: SessionEnd,
    },
    /// Record a new API key.
    CreateApiKey {
        /// A fresh id.
        key_id: ApiKeyId,
        /// What its owner calls it.
        label: KeyLabel,
        /// The start of the key, for lists.
        prefix: String,
        /// The secret's last four characters, for lists.
        last4: String,
        /// Live or test.
        environment: Environment,
        /// What it may do.
        scopes: Vec<KeyScope>,
        /// Its end, if any.
        expires_at: Option<DateTime<Utc>>,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Revoke a key for ever; a repeat is a no-op.
    RevokeApiKey {
        /// The key.
        key_id: ApiKeyId,
    },
}
