//! The account's state and decisions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use super::{AccountCommand, AccountError, AccountEvent, SessionEnd};
use crate::policy::plan::Plan;
use crate::text::DisplayName;
use crate::{ApiKeyId, Decide, Personal, SessionId};

/// The most active API keys of one account.
pub const MAX_API_KEYS: usize = 50;
/// The most sessions of one account; at the limit the oldest gives way.
pub const MAX_SESSIONS: usize = 100;

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
}

/// The account. Ended sessions and revoked keys leave the state (DESIGN 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    status: Status,
    email_verified: bool,
    plan: Plan,
    publish: bool,
    sessions: BTreeMap<SessionId, DateTime<Utc>>,
    api_keys: BTreeSet<ApiKeyId>,
}

impl Default for Account {
    fn default() -> Self {
        // A23: generations are published to Explore by default.
        Self {
            status: Status::New,
            email_verified: false,
            plan: Plan::Free,
            publish: true,
            sessions: BTreeMap::new(),
            api_keys: BTreeSet::new(),
        }
    }
}

impl Account {
    /// Where the account is in its life.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Whether the address was proven; needed before the first generation and the first key (U26).
    #[must_use]
    pub const fn email_verified(&self) -> bool {
        self.email_verified
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// Whether a generation accepted now goes to Explore. A plan that does not allow privacy publishes (A24, U09).
    #[must_use]
    pub const fn publishes(&self) -> bool {
        self.publish || !self.plan.allows_private_generations()
    }

    /// Whether the session was started and has not ended.
    #[must_use]
    pub fn has_session(&self, session: &SessionId) -> bool {
        self.sessions.contains_key(session)
    }

    /// Whether the key was made and not revoked.
    #[must_use]
    pub fn has_api_key(&self, key: &ApiKeyId) -> bool {
        self.api_keys.contains(key)
    }

    fn decide_open(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        match command {
            AccountCommand::Open { .. } | AccountCommand::Abandon => Err(AccountError::AlreadyUsed),
            AccountCommand::VerifyEmail if self.email_verified => Ok(Vec::new()),
            AccountCommand::VerifyEmail => Ok(vec![AccountEvent::EmailVerified {}]),
            AccountCommand::UpdateProfile { display_name, bio } => {
                let name =
                    display_name.map(|name| AccountEvent::DisplayNameChanged { display_name: Personal::Open(name) });
                let bio = bio.map(|bio| AccountEvent::BioChanged { bio: Personal::Open(bio) });
                Ok(name.into_iter().chain(bio).collect())
            }
            AccountCommand::SetPublishToExplore { publish } => {
                if !publish && !self.plan.allows_private_generations() {
                    return Err(AccountError::PlanRequired);
                }
                Ok(if publish == self.publish {
                    Vec::new()
                } else {
                    vec![AccountEvent::PublishPreferenceChanged { publish }]
                })
            }
            AccountCommand::AssignPlan { plan } if plan == self.plan => Ok(Vec::new()),
            AccountCommand::AssignPlan { plan } => Ok(vec![AccountEvent::PlanAssigned { plan }]),
            AccountCommand::StartSession { session_id, expires_at, now } => {
                self.start_session(session_id, expires_at, now)
            }
            AccountCommand::EndSession { session_id, reason } => {
                // An ended session left the state, so a repeat cannot be told from a stranger's id; both change nothing.
                let known = self.sessions.contains_key(&session_id);
                Ok(if known { vec![AccountEvent::SessionEnded { session_id, reason }] } else { Vec::new() })
            }
            AccountCommand::CreateApiKey { key_id, label, prefix, last4, environment, scopes, expires_at, now } => {
                self.may_create_key(expires_at, now)?;
                let label = Personal::Open(label);
                Ok(vec![AccountEvent::ApiKeyCreated { key_id, label, prefix, last4, environment, scopes, expires_at }])
            }
            AccountCommand::RevokeApiKey { key_id } => {
                let known = self.api_keys.contains(&key_id);
                Ok(if known { vec![AccountEvent::ApiKeyRevoked { key_id }] } else { Vec::new() })
            }
        }
    }

    fn start_session(
        &self,
        session_id: SessionId,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<AccountEvent>, AccountError> {
        if expires_at <= now {
            return Err(AccountError::ExpiryInThePast);
        }
        // Expired sessions count too, so the state stays bounded; they are the first to give way.
        let displaced = (self.sessions.len() >= MAX_SESSIONS)
            .then(|| self.sessions.iter().min_by_key(|&(id, end)| (*end, *id)))
            .flatten()
            .map(|(&session_id, _)| AccountEvent::SessionEnded { session_id, reason: SessionEnd::Displaced });
        let started = AccountEvent::SessionStarted { session_id, expires_at };
        Ok(displaced.into_iter().chain([started]).collect())
    }

    fn may_create_key(&self, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), AccountError> {
        if !self.email_verified {
            return Err(AccountError::EmailNotVerified);
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(AccountError::ExpiryInThePast);
        }
        if self.api_keys.len() >= MAX_API_KEYS { Err(AccountError::TooManyApiKeys(MAX_API_KEYS)) } else { Ok(()) }
    }
}

impl Decide for Account {
    fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        match (self.status, command) {
            (Status::New, AccountCommand::Open { email, username }) => {
                let display_name = DisplayName::parse(username.as_ref())
                    .expect("a username of 3-30 ASCII characters is a display name");
                Ok(vec![AccountEvent::AccountOpened {
                    email: Personal::Open(email),
                    username: Personal::Open(username),
                    display_name: Personal::Open(display_name),
                }])
            }
            (Status::New, AccountCommand::Abandon) => Ok(vec![AccountEvent::AccountAbandoned {}]),
            (Status::Abandoned, AccountCommand::Abandon) => Ok(Vec::new()),
            (_, AccountCommand::Open { .. } | AccountCommand::Abandon) => Err(AccountError::AlreadyUsed),
            (Status::Open, command) => self.decide_open(command),
            (Status::New | Status::Abandoned, _) => Err(AccountError::NotOpen),
        }
    }

    fn heap_bytes(&self) -> usize {
        // Twice the entries: the nodes of a B-tree are about half full.
        let (sessions, keys) = (self.sessions.len(), self.api_keys.len());
        2 * (sessions * size_of::<(SessionId, DateTime<Utc>)>() + keys * size_of::<ApiKeyId>())
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
            AccountEvent::AccountOpened { .. } => self.status = Status::Open,
            AccountEvent::AccountAbandoned {} => self.status = Status::Abandoned,
            AccountEvent::EmailVerified {} => self.email_verified = true,
            AccountEvent::DisplayNameChanged { .. } | AccountEvent::BioChanged { .. } => {}
            AccountEvent::PublishPreferenceChanged { publish } => self.publish = publish,
            AccountEvent::PlanAssigned { plan } => self.plan = plan,
            AccountEvent::SessionStarted { session_id, expires_at } => {
                self.sessions.insert(session_id, expires_at);
            }
            AccountEvent::SessionEnded { session_id, .. } => {
                self.sessions.remove(&session_id);
            }
            AccountEvent::ApiKeyCreated { key_id, .. } => {
                self.api_keys.insert(key_id);
            }
            AccountEvent::ApiKeyRevoked { key_id } => {
                self.api_keys.remove(&key_id);
            }
        }
    }
}
