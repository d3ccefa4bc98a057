//! The account's state, and what each event makes of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use super::{
    AccountCommand, AccountError, AccountEvent, Avatar, IdentityProvider, KeyRecord, Language, NotificationChoice,
    NotificationChoices, PasswordVia, Role, StaffAction, TwoFactorReset,
};
use crate::policy::account::RENAME_PAUSE;
use crate::policy::plan::Plan;
use crate::{ApiKeyId, Decide, ExportId, IdentityId, Sealed, SessionId};

/// The most API keys of one account that are neither revoked nor expired. At the limit an expired one gives way, and only then.
pub const MAX_API_KEYS: usize = 50;
/// The most sessions of one account; at the limit the oldest gives way.
pub const MAX_SESSIONS: usize = 100;
/// The most identities elsewhere of one account.
pub const MAX_IDENTITIES: usize = 5;

/// Where an account is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No event yet.
    #[default]
    New,
    /// Signed up.
    Open,
    /// Its claim went stale before it opened.
    Abandoned,
    /// Its owner confirmed the deletion; it is being taken apart.
    Deleting,
    /// Nothing is left of it.
    Erased,
}

/// The account. Ended sessions and revoked keys leave the state (DESIGN 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub(super) status: Status,
    /// The address as the log has it: whoever writes to it opens it then.
    pub(super) email: Option<Sealed>,
    pub(super) email_verified: bool,
    pub(super) was_verified: bool,
    pub(super) address_claimed: bool,
    pub(super) renamed_at: Option<DateTime<Utc>>,
    /// The name shown, as the log has it.
    pub(super) display_name: Option<Sealed>,
    /// The biography, as the log has it; `None` until there was one.
    pub(super) bio: Option<Sealed>,
    pub(super) avatar: Option<Avatar>,
    pub(super) public: bool,
    pub(super) language: Language,
    pub(super) notifications: NotificationChoices,
    pub(super) plan: Plan,
    pub(super) publish: bool,
    pub(super) sessions: BTreeMap<SessionId, DateTime<Utc>>,
    pub(super) has_password: bool,
    pub(super) identities: BTreeMap<IdentityId, IdentityProvider>,
    pub(super) two_factor: bool,
    pub(super) two_factor_reset: Option<TwoFactorReset>,
    pub(super) api_keys: BTreeMap<ApiKeyId, KeyRecord>,
    /// How many keys were ever made.
    pub(super) keys_made: u64,
    pub(super) roles: BTreeSet<Role>,
    pub(super) export: Option<ExportId>,
}

impl Default for Account {
    fn default() -> Self {
        // A23: generations are published to Explore by default. C3: everybody has a public profile.
        Self {
            status: Status::New,
            email: None,
            email_verified: false,
            was_verified: false,
            address_claimed: false,
            renamed_at: None,
            display_name: None,
            bio: None,
            avatar: None,
            public: true,
            language: Language::default(),
            notifications: NotificationChoices::default(),
            plan: Plan::Free,
            publish: true,
            sessions: BTreeMap::new(),
            has_password: false,
            identities: BTreeMap::new(),
            two_factor: false,
            two_factor_reset: None,
            api_keys: BTreeMap::new(),
            keys_made: 0,
            roles: BTreeSet::new(),
            export: None,
        }
    }
}

impl Account {
    /// When the handle may be changed again, if it was changed before; it may be in the past (U29).
    #[must_use]
    pub fn username_changeable_at(&self) -> Option<DateTime<Utc>> {
        self.renamed_at.map(|at| at + RENAME_PAUSE)
    }

    /// Where the account is in its life.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The address, sealed under the field `email`; `None` before the account opens.
    #[must_use]
    pub const fn email(&self) -> Option<&Sealed> {
        self.email.as_ref()
    }

    /// The name shown, sealed under the field `display_name`.
    #[must_use]
    pub const fn display_name(&self) -> Option<&Sealed> {
        self.display_name.as_ref()
    }

    /// The biography, sealed under the field `bio`; `None` until there was one.
    #[must_use]
    pub const fn bio(&self) -> Option<&Sealed> {
        self.bio.as_ref()
    }

    /// Whether the address was proven; needed before the first generation and the first key (U26).
    #[must_use]
    pub const fn email_verified(&self) -> bool {
        self.email_verified
    }

    /// Whether this address or an earlier one was proven.
    #[must_use]
    pub const fn was_verified(&self) -> bool {
        self.was_verified
    }

    /// Whether the address's claim is this account's: it was proven, staff gave it, or a release claimed it that let sign-ups do so.
    /// Nothing but the link that proves it is mailed to an address that is not (sec.S4).
    #[must_use]
    pub const fn address_claimed(&self) -> bool {
        self.address_claimed
    }

    /// The avatar, if there is one.
    #[must_use]
    pub const fn avatar(&self) -> Option<&Avatar> {
        self.avatar.as_ref()
    }

    /// Whether others see the public profile (V05).
    #[must_use]
    pub const fn is_public(&self) -> bool {
        self.public
    }

    /// The language of mails.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// Which notices are wanted where.
    #[must_use]
    pub const fn notifications(&self) -> &NotificationChoices {
        &self.notifications
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// Whether a generation accepted now goes to Explore. A plan that does not allow privacy publishes (A24, U09).
    #[must_use]
    pub const fn publishes(&self) -> bool {
        self.plan.publishes(self.publish)
    }

    /// Whether the session was started and has not ended.
    #[must_use]
    pub fn has_session(&self, session: &SessionId) -> bool {
        self.sessions.contains_key(session)
    }

    /// Whether the account can sign in with a password (A16).
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.has_password
    }

    /// The identities elsewhere that sign in to it.
    #[must_use]
    pub const fn identities(&self) -> &BTreeMap<IdentityId, IdentityProvider> {
        &self.identities
    }

    /// Whether signing in takes a code as well (V11).
    #[must_use]
    pub const fn two_factor(&self) -> bool {
        self.two_factor
    }

    /// What staff were asked to do to a lost second factor, and when (U36).
    #[must_use]
    pub const fn two_factor_reset(&self) -> Option<&TwoFactorReset> {
        self.two_factor_reset.as_ref()
    }

    /// Whether the key was made, was not revoked, and did not give its place to another one after its end.
    #[must_use]
    pub fn has_api_key(&self, key: &ApiKeyId) -> bool {
        self.api_keys.contains_key(key)
    }

    /// What is remembered of every key that was made and not revoked.
    pub fn api_keys(&self) -> impl Iterator<Item = &KeyRecord> {
        self.api_keys.values()
    }

    /// What is remembered of a key that was made and not revoked.
    #[must_use]
    pub fn api_key(&self, key: &ApiKeyId) -> Option<&KeyRecord> {
        self.api_keys.get(key)
    }

    /// Whether the account has a role.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Its roles.
    #[must_use]
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// The data export being made, if one is (U25).
    #[must_use]
    pub const fn export(&self) -> Option<ExportId> {
        self.export
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = AccountError;
    type Services = ();

    async fn handle(&mut self, command: AccountCommand, _: &(), sink: &EventSink<Self>) -> Result<(), AccountError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::AccountOpened { email, display_name, address_claimed, has_password, .. } => {
                self.status = Status::Open;
                self.email = email.sealed().cloned();
                self.display_name = display_name.sealed().cloned();
                (self.address_claimed, self.has_password) = (address_claimed, has_password);
            }
            AccountEvent::AccountAbandoned {} => self.status = Status::Abandoned,
            AccountEvent::EmailVerified {} => {
                (self.email_verified, self.was_verified, self.address_claimed) = (true, true, true);
            }
            AccountEvent::EmailChanged { email } => {
                (self.email, self.email_verified, self.address_claimed) = (email.sealed().cloned(), false, true);
            }
            AccountEvent::UsernameChanged { changed_at, .. } => self.renamed_at = Some(changed_at),
            AccountEvent::DisplayNameChanged { display_name } => self.display_name = display_name.sealed().cloned(),
            AccountEvent::BioChanged { bio } => self.bio = bio.sealed().cloned(),
            AccountEvent::AvatarChanged { avatar } => self.avatar = Some(avatar),
            AccountEvent::AvatarRemoved {} => self.avatar = None,
            AccountEvent::PublicProfileChanged { public } => self.public = public,
            AccountEvent::LanguageChanged { language } => self.language = language,
            AccountEvent::NotificationPreferenceChanged { kind, channel, on, .. } => {
                self.notifications.set(NotificationChoice { kind, channel, on });
            }
            AccountEvent::PublishPreferenceChanged { publish } => self.publish = publish,
            AccountEvent::PlanAssigned { plan } => self.plan = plan,
            AccountEvent::SessionStarted { session_id, expires_at } => {
                self.sessions.insert(session_id, expires_at);
            }
            AccountEvent::SessionEnded { session_id, .. } => {
                self.sessions.remove(&session_id);
            }
            AccountEvent::PasswordResetRequested {}
            | AccountEvent::RecoveryCodesRenewed {}
            | AccountEvent::RecoveryCodeUsed {} => {}
            AccountEvent::StaffActionRecorded { staff, action, reason } => {
                // Whoever carries it out later does so in this name, for this reason.
                if let (StaffAction::TwoFactorResetRequested, Some(reset)) = (action, &mut self.two_factor_reset) {
                    (reset.staff, reset.reason) = (staff, reason.sealed().cloned());
                }
            }
            AccountEvent::PasswordChanged { via } => match via {
                PasswordVia::Change | PasswordVia::Reset | PasswordVia::Added => self.has_password = true,
            },
            AccountEvent::ExternalIdentityLinked { identity_id, provider, .. } => {
                self.identities.insert(identity_id, provider);
            }
            AccountEvent::ExternalIdentityUnlinked { identity_id } => {
                self.identities.remove(&identity_id);
            }
            AccountEvent::TwoFactorEnabled {} => self.two_factor = true,
            AccountEvent::TwoFactorDisabled { .. } => (self.two_factor, self.two_factor_reset) = (false, None),
            AccountEvent::TwoFactorResetRequested { due_at } => {
                self.two_factor_reset = Some(TwoFactorReset { due_at, staff: None, reason: None });
            }
            AccountEvent::TwoFactorResetStopped {} => self.two_factor_reset = None,
            AccountEvent::ApiKeyCreated { key_id, label, environment, scopes, caps, expires_at, .. } => {
                let label = label.sealed().cloned();
                let record = KeyRecord { label, environment, scopes, caps, expires_at, agreed_end: expires_at };
                self.api_keys.insert(key_id, record);
                self.keys_made += 1;
            }
            AccountEvent::ApiKeyExpiryChanged { key_id, expires_at } => {
                if let Some(key) = self.api_keys.get_mut(&key_id) {
                    key.expires_at = Some(expires_at);
                }
            }
            AccountEvent::ApiKeyExpired { key_id } | AccountEvent::ApiKeyRevoked { key_id } => {
                self.api_keys.remove(&key_id);
            }
            AccountEvent::RoleGranted { role } => {
                self.roles.insert(role);
            }
            AccountEvent::RoleWithdrawn { role } => {
                self.roles.remove(&role);
            }
            AccountEvent::DataExportRequested { export_id } => self.export = Some(export_id),
            AccountEvent::DataExportReady { .. } | AccountEvent::DataExportFailed { .. } => self.export = None,
            AccountEvent::AccountDeletionRequested { .. } => self.status = Status::Deleting,
            AccountEvent::AccountErased { .. } => *self = Self { status: Status::Erased, ..Self::default() },
        }
    }
}
