//! What happens to an account.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use super::{
    Account, Avatar, Channel, IdentityProvider, KeyScope, Language, NoticeKind, PasswordVia, Role, SessionEnd,
    SpendCaps, StaffAction, TwoFactorEnd,
};
use crate::policy::plan::Plan;
use crate::text::{Bio, DisplayName, Email, IdentityLabel, KeyLabel, StaffReason, Username};
use crate::upcast::version_of;
use crate::{AccountId, ApiKeyId, Environment, ExportId, IdentityId, KeyClass, Personal, SessionId};

/// An event of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// Somebody signed up.
    AccountOpened {
        /// The address, verified later.
        email: Personal<Email>,
        /// The handle of the public profile (A17).
        username: Personal<Username>,
        /// The name shown; starts as the username.
        display_name: Personal<DisplayName>,
        /// The age the person said to have reached (U42); `None` before that was asked.
        minimum_age: Option<u8>,
        /// Whether the address's claim was this account's from the start: it was proven elsewhere, or the sign-up is of a release that let
        /// sign-ups claim addresses. Otherwise the claim comes with [`AccountEvent::EmailVerified`].
        address_claimed: bool,
        /// Whether it has a password, or was opened by an identity elsewhere (A16).
        has_password: bool,
    },
    /// A claim on this id went stale before the account opened; nothing may open it any more (DESIGN 4, Uniqueness).
    AccountAbandoned {},
    /// The address was proven (U26).
    EmailVerified {},
    /// Another address, by staff (A12, A13); unverified until it is proven.
    EmailChanged {
        /// The address from now on.
        email: Personal<Email>,
    },
    /// Another handle (U29).
    UsernameChanged {
        /// The handle from now on.
        username: Personal<Username>,
        /// When it was decided: the next change waits for a while.
        changed_at: DateTime<Utc>,
    },
    /// A new display name (A07).
    DisplayNameChanged {
        /// The name shown from now on, also on old items (A10).
        display_name: Personal<DisplayName>,
    },
    /// A new biography (A08).
    BioChanged {
        /// The text; empty clears it.
        bio: Personal<Bio>,
    },
    /// A new avatar (A04).
    AvatarChanged {
        /// The avatar from now on.
        avatar: Avatar,
    },
    /// No avatar any more.
    AvatarRemoved {},
    /// Whether others see the public profile (V05, C3).
    PublicProfileChanged {
        /// On or off.
        public: bool,
    },
    /// The language of mails.
    LanguageChanged {
        /// From now on.
        language: Language,
    },
    /// A notice was switched on or off (A32, V12-V17).
    NotificationPreferenceChanged {
        /// What about.
        kind: NoticeKind,
        /// Where.
        channel: Channel,
        /// On or off.
        on: bool,
        /// The version of the text that was agreed to, where it takes consent (V16).
        text_version: Option<u32>,
    },
    /// Whether *future* generations go to Explore (A26).
    PublishPreferenceChanged {
        /// On or off.
        publish: bool,
    },
    /// The plan, with what it allows, changed.
    PlanAssigned {
        /// The plan from now on.
        plan: Plan,
    },
    /// Somebody signed in; the token's digest is a row.
    SessionStarted {
        /// The session.
        session_id: SessionId,
        /// Its absolute end.
        expires_at: DateTime<Utc>,
    },
    /// A session ended before its time.
    SessionEnded {
        /// The session.
        session_id: SessionId,
        /// Why.
        reason: SessionEnd,
    },
    /// A link for a new password was asked for (A14).
    PasswordResetRequested {},
    /// The password is another one (A15, V08).
    PasswordChanged {
        /// How.
        via: PasswordVia,
    },
    /// An identity elsewhere signs in to this account (A16); which one is a row.
    ExternalIdentityLinked {
        /// Our id of it.
        identity_id: IdentityId,
        /// Who vouches.
        provider: IdentityProvider,
        /// What it is called in the settings: its address, usually.
        label: Personal<IdentityLabel>,
    },
    /// It does no more.
    ExternalIdentityUnlinked {
        /// Which.
        identity_id: IdentityId,
    },
    /// Signing in takes a code as well (V11); the seed is a row.
    TwoFactorEnabled {},
    /// It does no more.
    TwoFactorDisabled {
        /// By whom.
        by: TwoFactorEnd,
    },
    /// Staff will turn the second factor off, unless its owner says no (U36).
    TwoFactorResetRequested {
        /// When.
        due_at: DateTime<Utc>,
    },
    /// They will not: its owner said no, or had it after all.
    TwoFactorResetStopped {},
    /// There are new recovery codes, and the old ones are void (sec.T2).
    RecoveryCodesRenewed {},
    /// A recovery code was used up in place of a code.
    RecoveryCodeUsed {},
    /// A key was made; the secret's digest is a row (B03).
    ApiKeyCreated {
        /// The key.
        key_id: ApiKeyId,
        /// What its owner calls it.
        label: Personal<KeyLabel>,
        /// The start of the key, shown in lists.
        prefix: String,
        /// The last four characters of the secret, shown in lists.
        last4: String,
        /// Live or test.
        environment: Environment,
        /// What it may do.
        scopes: Vec<KeyScope>,
        /// Its end, if it has one (B13).
        expires_at: Option<DateTime<Utc>>,
        /// How much it may spend (U21).
        caps: SpendCaps,
        /// The key it takes over from, if it is a rotation (B18).
        replaces: Option<ApiKeyId>,
    },
    /// A key ends at another time: a rotation leaves its predecessor an overlap (B18).
    ApiKeyExpiryChanged {
        /// The key.
        key_id: ApiKeyId,
        /// Its end from now on.
        expires_at: DateTime<Utc>,
    },
    /// A key that had expired gave its place to another one: the account's state forgets it.
    ApiKeyExpired {
        /// The key.
        key_id: ApiKeyId,
    },
    /// A key was revoked, for ever (V30).
    ApiKeyRevoked {
        /// The key.
        key_id: ApiKeyId,
    },
    /// The account has a role.
    RoleGranted {
        /// Which.
        role: Role,
    },
    /// It has it no more.
    RoleWithdrawn {
        /// Which.
        role: Role,
    },
    /// Staff did something to this account; always beside its effect.
    StaffActionRecorded {
        /// Who; the operator at the console when nobody is named.
        staff: Option<AccountId>,
        /// What.
        action: StaffAction,
        /// Why, for the owner to read.
        reason: Personal<StaffReason>,
    },
    /// The owner asked for a copy of everything (U25).
    DataExportRequested {
        /// Which.
        export_id: ExportId,
    },
    /// The copy can be fetched.
    DataExportReady {
        /// Which.
        export_id: ExportId,
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// The copy could not be made in time; another one may be asked for.
    DataExportFailed {
        /// Which.
        export_id: ExportId,
    },
    /// The owner confirmed the deletion; nothing more happens to the account but its end (A36).
    AccountDeletionRequested {
        /// The version of the rules it is deleted by.
        policy_version: u32,
    },
    /// Everything is gone; the profile key was destroyed before this was written (A37).
    AccountErased {
        /// The version of the rules it was deleted by.
        policy_version: u32,
        /// The classes of keys destroyed.
        keys: Vec<KeyClass>,
    },
}

impl AccountEvent {
    /// Every stored name; a test compares them with the committed forms.
    pub const NAMES: &[&str] = &[
        "AccountOpened",
        "AccountAbandoned",
        "EmailVerified",
        "EmailChanged",
        "UsernameChanged",
        "DisplayNameChanged",
        "BioChanged",
        "AvatarChanged",
        "AvatarRemoved",
        "PublicProfileChanged",
        "LanguageChanged",
        "NotificationPreferenceChanged",
        "PublishPreferenceChanged",
        "PlanAssigned",
        "SessionStarted",
        "SessionEnded",
        "PasswordResetRequested",
        "PasswordChanged",
        "ExternalIdentityLinked",
        "ExternalIdentityUnlinked",
        "TwoFactorEnabled",
        "TwoFactorDisabled",
        "TwoFactorResetRequested",
        "TwoFactorResetStopped",
        "RecoveryCodesRenewed",
        "RecoveryCodeUsed",
        "ApiKeyCreated",
        "ApiKeyExpiryChanged",
        "ApiKeyExpired",
        "ApiKeyRevoked",
        "RoleGranted",
        "RoleWithdrawn",
        "StaffActionRecorded",
        "DataExportRequested",
        "DataExportReady",
        "DataExportFailed",
        "AccountDeletionRequested",
        "AccountErased",
    ];

    /// The event's stored name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened { .. } => "AccountOpened",
            Self::AccountAbandoned {} => "AccountAbandoned",
            Self::EmailVerified {} => "EmailVerified",
            Self::EmailChanged { .. } => "EmailChanged",
            Self::UsernameChanged { .. } => "UsernameChanged",
            Self::DisplayNameChanged { .. } => "DisplayNameChanged",
            Self::BioChanged { .. } => "BioChanged",
            Self::AvatarChanged { .. } => "AvatarChanged",
            Self::AvatarRemoved {} => "AvatarRemoved",
            Self::PublicProfileChanged { .. } => "PublicProfileChanged",
            Self::LanguageChanged { .. } => "LanguageChanged",
            Self::NotificationPreferenceChanged { .. } => "NotificationPreferenceChanged",
            Self::PublishPreferenceChanged { .. } => "PublishPreferenceChanged",
            Self::PlanAssigned { .. } => "PlanAssigned",
            Self::SessionStarted { .. } => "SessionStarted",
            Self::SessionEnded { .. } => "SessionEnded",
            Self::PasswordResetRequested {} => "PasswordResetRequested",
            Self::PasswordChanged { .. } => "PasswordChanged",
            Self::ExternalIdentityLinked { .. } => "ExternalIdentityLinked",
            Self::ExternalIdentityUnlinked { .. } => "ExternalIdentityUnlinked",
            Self::TwoFactorEnabled {} => "TwoFactorEnabled",
            Self::TwoFactorDisabled { .. } => "TwoFactorDisabled",
            Self::TwoFactorResetRequested { .. } => "TwoFactorResetRequested",
            Self::TwoFactorResetStopped {} => "TwoFactorResetStopped",
            Self::RecoveryCodesRenewed {} => "RecoveryCodesRenewed",
            Self::RecoveryCodeUsed {} => "RecoveryCodeUsed",
            Self::ApiKeyCreated { .. } => "ApiKeyCreated",
            Self::ApiKeyExpiryChanged { .. } => "ApiKeyExpiryChanged",
            Self::ApiKeyExpired { .. } => "ApiKeyExpired",
            Self::ApiKeyRevoked { .. } => "ApiKeyRevoked",
            Self::RoleGranted { .. } => "RoleGranted",
            Self::RoleWithdrawn { .. } => "RoleWithdrawn",
            Self::StaffActionRecorded { .. } => "StaffActionRecorded",
            Self::DataExportRequested { .. } => "DataExportRequested",
            Self::DataExportReady { .. } => "DataExportReady",
            Self::DataExportFailed { .. } => "DataExportFailed",
            Self::AccountDeletionRequested { .. } => "AccountDeletionRequested",
            Self::AccountErased { .. } => "AccountErased",
        }
    }
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        version_of(Account::TYPE, self.name()).to_owned()
    }
}
