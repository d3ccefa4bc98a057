//! What may be asked of an account. What a decision needs (now, fresh ids) is in the command.

use chrono::{DateTime, Utc};

use super::{
    Avatar, IdentityProvider, KeyExpiry, KeyScope, Language, NotificationChoice, PasswordVia, Role, SameTexts,
    SessionEnd, SpendCaps, StaffCommand, StaffOrder,
};
use crate::policy::plan::Plan;
use crate::text::{Bio, DisplayName, Email, IdentityLabel, KeyLabel, Username};
use crate::{ApiKeyId, Environment, ExportId, IdentityId, KeyClass, Sealed, SessionId};

/// A command on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCommand {
    /// Open the account (sign-up).
    Open {
        /// The address.
        email: Email,
        /// The handle.
        username: Username,
        /// The age the person says to have reached (U42).
        minimum_age: u8,
        /// The identity elsewhere that vouches for the person; otherwise there is a password (A16).
        vouched_by: Option<NewIdentity>,
    },
    /// Close the door on an id whose claim went stale; refused once the account is open.
    Abandon,
    /// The address was proven; a repeat is a no-op.
    VerifyEmail {
        /// Which one: refused when the account has another by now. Whichever it is, when not given.
        address: Option<Sealed>,
    },
    /// Change name, biography or both, atomically (A09).
    UpdateProfile {
        /// The new name, if it changes.
        display_name: Option<DisplayName>,
        /// The new biography, if it changes.
        bio: Option<Bio>,
        /// The stored texts that say the same as the new ones. The state has them sealed, so whoever can open them compares.
        same: SameTexts,
    },
    /// The address was proven by its mailbox alone, and a new password was set: as [`Self::VerifyEmail`], but whatever a sign-up that never
    /// was proven could be entered by ends in the same append.
    VerifyEmailAfresh {
        /// Which one: refused when the account has another by now.
        address: Option<Sealed>,
    },
    /// End a sign-up whose address another account has proven; refused once this one was proven. A repeat is a no-op.
    EndUnproven,
    /// Take another handle; the same one is a no-op (U29).
    ChangeUsername {
        /// The new handle.
        username: Username,
        /// Whether it is the handle it has already.
        unchanged: bool,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Show another avatar.
    SetAvatar {
        /// The avatar, stored already.
        avatar: Avatar,
    },
    /// Show none.
    RemoveAvatar,
    /// Show the public profile to others, or not (V05).
    SetPublicProfile {
        /// On or off.
        public: bool,
    },
    /// Write mails in another language.
    SetLanguage {
        /// Which.
        language: Language,
    },
    /// Set switches, all or none (V17).
    SetNotifications {
        /// The switches.
        choices: Vec<NotificationChoice>,
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
    /// End every session but one.
    EndSessions {
        /// The one that goes on, if any.
        except: Option<SessionId>,
        /// Why.
        reason: SessionEnd,
    },
    /// Record that a link for a new password is asked for (A14).
    RequestPasswordReset,
    /// Record that the password is another one, and end the other sessions (C5).
    ChangePassword {
        /// How.
        via: PasswordVia,
        /// The session that goes on, if any.
        except: Option<SessionId>,
    },
    /// Let an identity elsewhere sign in; a repeat is a no-op.
    LinkIdentity {
        /// The identity.
        identity: NewIdentity,
    },
    /// Let it sign in no more; refused when it is the only way in.
    UnlinkIdentity {
        /// The identity.
        identity_id: IdentityId,
    },
    /// Signing in takes a code from now on.
    EnableTwoFactor,
    /// It does no more; a repeat is a no-op.
    DisableTwoFactor,
    /// Staff shall not turn the second factor off; a repeat is a no-op (U36).
    StopTwoFactorReset,
    /// New recovery codes.
    RenewRecoveryCodes,
    /// A recovery code was used up.
    UseRecoveryCode,
    /// Record a new API key.
    CreateApiKey {
        /// The key.
        key: NewApiKey,
        /// The command's clock.
        now: DateTime<Utc>,
    },
    /// Revoke a key for ever; a repeat is a no-op.
    RevokeApiKey {
        /// The key.
        key_id: ApiKeyId,
    },
    /// Grant a role, by the operator.
    GrantRole {
        /// Which.
        role: Role,
    },
    /// Withdraw a role, by the operator.
    WithdrawRole {
        /// Which.
        role: Role,
    },
    /// What staff ask for, with their reason.
    ByStaff {
        /// Who, and why.
        order: StaffOrder,
        /// What.
        command: StaffCommand,
    },
    /// Begin a copy of everything (U25); refused while one is being made.
    RequestDataExport {
        /// A fresh id.
        export_id: ExportId,
    },
    /// The copy is there; a repeat is a no-op.
    FinishDataExport {
        /// Which.
        export_id: ExportId,
        /// Until when it can be fetched.
        expires_at: DateTime<Utc>,
    },
    /// The copy was not made in time; a no-op for one that is not under way.
    FailDataExport {
        /// Which.
        export_id: ExportId,
    },
    /// Delete the account: keys and sessions end in the same append (A36, U22). A repeat is a no-op.
    RequestDeletion,
    /// Nothing is left of it; only after [`AccountCommand::RequestDeletion`]. A repeat is a no-op.
    Erase {
        /// The classes of keys destroyed.
        keys: Vec<KeyClass>,
    },
}

/// An identity elsewhere, about to sign in to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// A fresh id.
    pub identity_id: IdentityId,
    /// Who vouches.
    pub provider: IdentityProvider,
    /// What it is called in the settings.
    pub label: IdentityLabel,
    /// Whether who vouches for the person vouches for the address as well. Only opening an account asks.
    pub vouches_for_address: bool,
}

/// A key that another one takes over from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The key.
    pub key_id: ApiKeyId,
    /// When it ends, unless it ends sooner anyway.
    pub ends_at: DateTime<Utc>,
}

/// An API key about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// A fresh id.
    pub key_id: ApiKeyId,
    /// What its owner calls it; "API key" and a number when not given (C16).
    pub label: Option<KeyLabel>,
    /// The start of the key, for lists.
    pub prefix: String,
    /// The secret's last four characters, for lists.
    pub last4: String,
    /// Live or test.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// Its end, if any.
    pub expires_at: Option<KeyExpiry>,
    /// How much it may spend.
    pub caps: SpendCaps,
    /// The key it takes over from, which then ends after an overlap (B18).
    pub replaces: Option<Replaced>,
}
