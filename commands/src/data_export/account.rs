//! What the account's own stream says of it: profile, ways in, sessions, keys, preferences; folded once, up to the request.

use std::collections::BTreeMap;

use atelier_domain::account::{Account, AccountEvent, Channel, IdentityProvider, KeyScope, NoticeKind, SpendCaps};
use atelier_domain::{AccountId, ApiKeyId, Credits, Environment, ExportId, IdentityId, LogEvent, Sealed, SessionId};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use serde_json::{Value, json};

use super::history::{History, opened};
use crate::command_path::CommandError;
use crate::event_store::Position;
use crate::refusal::UseCaseError;
use crate::use_cases::second_factor;
use crate::write_side::WriteSide;

/// What is known of an account at the moment of its request.
pub(super) struct Known {
    /// Whose.
    pub account: AccountId,
    /// The position of the request: everything else in the copy is as of this.
    pub position: Position,
    /// Its instant.
    pub requested_at: DateTime<Utc>,
    /// The state.
    pub state: Account,
    /// The sessions that were not ended: since when, until when.
    pub sessions: BTreeMap<SessionId, (DateTime<Utc>, DateTime<Utc>)>,
    /// Every key there ever was.
    pub keys: BTreeMap<ApiKeyId, Key>,
    told: Told,
}

#[derive(Default)]
struct Told {
    opened_at: Option<DateTime<Utc>>,
    minimum_age: Option<u8>,
    username: Option<Sealed>,
    display_name: Option<Sealed>,
    bio: Option<Sealed>,
    identities: BTreeMap<IdentityId, (IdentityProvider, Option<Sealed>, DateTime<Utc>)>,
    choices: BTreeMap<(NoticeKind, Channel), Choice>,
}

/// A switch that was set: since when, and the version of the text that was agreed to.
struct Choice {
    text_version: Option<u32>,
    since: DateTime<Utc>,
}

/// An API key, without what it is recognised by.
pub(super) struct Key {
    label: Option<Sealed>,
    prefix: String,
    last4: String,
    environment: Environment,
    scopes: Vec<KeyScope>,
    caps: SpendCaps,
    replaces: Option<ApiKeyId>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl Known {
    /// Reads the account's stream up to the request of this copy.
    pub(super) async fn read(write: &WriteSide, account: AccountId, export: ExportId) -> Result<Self, UseCaseError> {
        let mut known = Self {
            account,
            position: Position::default(),
            requested_at: DateTime::UNIX_EPOCH,
            state: Account::default(),
            sessions: BTreeMap::new(),
            keys: BTreeMap::new(),
            told: Told::default(),
        };
        let mut history = History::of_account(write, account, None);
        while let Some((stored, event)) = history.next().await? {
            let LogEvent::Account(_, event) = event else { continue };
            (known.position, known.requested_at) = (stored.position, stored.decided_at);
            let asked = matches!(&event, AccountEvent::DataExportRequested { export_id } if *export_id == export);
            known.fold(event, stored.decided_at);
            if asked {
                return Ok(known);
            }
        }
        Err(CommandError::Internal("a data export without its request".to_owned()))
    }

    fn fold(&mut self, event: AccountEvent, at: DateTime<Utc>) {
        self.state.apply(event.clone());
        match event {
            AccountEvent::SessionStarted { session_id, expires_at } => {
                self.sessions.insert(session_id, (at, expires_at));
            }
            AccountEvent::SessionEnded { session_id, .. } => {
                self.sessions.remove(&session_id);
            }
            AccountEvent::ApiKeyCreated {
                key_id,
                label,
                prefix,
                last4,
                environment,
                scopes,
                expires_at,
                caps,
                replaces,
            } => {
                let label = label.sealed().cloned();
                let key = Key {
                    label,
                    prefix,
                    last4,
                    environment,
                    scopes,
                    caps,
                    replaces,
                    created_at: at,
                    expires_at,
                    revoked_at: None,
                };
                self.keys.insert(key_id, key);
            }
            AccountEvent::ApiKeyExpiryChanged { key_id, expires_at } => {
                self.keys.entry(key_id).and_modify(|key| key.expires_at = Some(expires_at));
            }
            AccountEvent::ApiKeyRevoked { key_id } => {
                self.keys.entry(key_id).and_modify(|key| key.revoked_at = Some(at));
            }
            other => self.told.fold(other, at),
        }
    }

    /// `profile.json`.
    pub(super) async fn profile(&self, write: &WriteSide) -> Result<Value, UseCaseError> {
        let open =
            async |field: &str, sealed: &Option<Sealed>| opened(write, self.account, field, sealed.as_ref()).await;
        Ok(json!({
            "id": format!("acc_{}", self.account.0.simple()),
            "username": open("username", &self.told.username).await?,
            "display_name": open("display_name", &self.told.display_name).await?,
            "bio": open("bio", &self.told.bio).await?.filter(|bio| !bio.is_empty()),
            "avatar": self.state.avatar().map(|_| "avatar.png"),
            "public": self.state.is_public(),
            "publish_to_explore": self.state.publishes(),
            "plan": self.state.plan().name(),
        }))
    }

    /// `account.json`. The second factor is told by whether it is on, never by its seed or codes.
    pub(super) async fn account(&self, write: &WriteSide) -> Result<Value, UseCaseError> {
        let mut identities = Vec::new();
        for (id, (provider, label, at)) in &self.told.identities {
            let label = opened(write, self.account, "label", label.as_ref()).await?;
            let id = format!("idn_{}", id.0.simple());
            identities.push(json!({ "id": id, "provider": provider.as_str(), "label": label, "linked_at": at }));
        }
        let codes_left = second_factor::status(write, self.account).await?.recovery_codes_left;
        Ok(json!({
            "email": opened(write, self.account, "email", self.state.email()).await?,
            "email_verified": self.state.email_verified(),
            "opened_at": self.told.opened_at,
            "minimum_age_declared": self.told.minimum_age,
            "language": self.state.language().as_str(),
            "password": self.state.has_password(),
            "identities": identities,
            "two_factor": { "enabled": self.state.two_factor(), "recovery_codes_left": codes_left },
            "roles": self.state.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        }))
    }

    /// `notification_preferences.json`: every switch, set or not.
    pub(super) fn preferences(&self) -> Value {
        let every = NoticeKind::ALL.into_iter().flat_map(|kind| Channel::ALL.map(|channel| (kind, channel)));
        let switch = |(kind, channel): (NoticeKind, Channel)| {
            let set = self.told.choices.get(&(kind, channel));
            json!({
                "kind": kind.as_str(),
                "channel": channel.as_str(),
                "on": self.state.notifications().wants(kind, channel),
                "consent_text_version": set.and_then(|choice| choice.text_version),
                "since": set.map(|choice| choice.since),
            })
        };
        every.map(switch).collect()
    }

    /// One key of `api_keys.json`, without its usage.
    pub(super) async fn key(&self, write: &WriteSide, id: ApiKeyId, key: &Key) -> Result<Value, UseCaseError> {
        let name = |id: ApiKeyId| format!("key_{}", id.0.simple());
        Ok(json!({
            "id": name(id),
            "label": opened(write, self.account, "label", key.label.as_ref()).await?,
            "prefix": key.prefix,
            "last4": key.last4,
            "environment": key.environment.as_str(),
            "scopes": key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
            "daily_cap": key.caps.daily.map(Credits::get),
            "total_cap": key.caps.total.map(Credits::get),
            "replaces": key.replaces.map(name),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
        }))
    }
}

impl Told {
    fn fold(&mut self, event: AccountEvent, at: DateTime<Utc>) {
        match event {
            AccountEvent::AccountOpened { username, display_name, minimum_age, .. } => {
                (self.opened_at, self.minimum_age) = (Some(at), minimum_age);
                (self.username, self.display_name) = (username.sealed().cloned(), display_name.sealed().cloned());
            }
            AccountEvent::UsernameChanged { username, .. } => self.username = username.sealed().cloned(),
            AccountEvent::DisplayNameChanged { display_name } => self.display_name = display_name.sealed().cloned(),
            AccountEvent::BioChanged { bio } => self.bio = bio.sealed().cloned(),
            AccountEvent::ExternalIdentityLinked { identity_id, provider, label } => {
                self.identities.insert(identity_id, (provider, label.sealed().cloned(), at));
            }
            AccountEvent::ExternalIdentityUnlinked { identity_id } => {
                self.identities.remove(&identity_id);
            }
            AccountEvent::NotificationPreferenceChanged { kind, channel, text_version, .. } => {
                self.choices.insert((kind, channel), Choice { text_version, since: at });
            }
            // In the state, or in `events.jsonl` alone.
            _ => {}
        }
    }
}
