//! What happens to an account.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use super::Account;
use crate::policy::plan::Plan;
use crate::text::{Bio, DisplayName, Email, KeyLabel, Username};
use crate::upcast::version_of;
use crate::{ApiKeyId, Environment, KeyClass, Personal, PersonalFields, PersonalSlot, SessionId};

/// What an API key may do (REQUIREMENTS 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyScope {
    /// Request generations.
    #[serde(rename = "generate")]
    Generate,
    /// Read generations.
    #[serde(rename = "generations:read")]
    GenerationsRead,
    /// Cancel and delete generations.
    #[serde(rename = "generations:write")]
    GenerationsWrite,
    /// Read the model catalogue.
    #[serde(rename = "models:read")]
    ModelsRead,
    /// Read the balance.
    #[serde(rename = "account:read")]
    AccountRead,
}

impl KeyScope {
    /// Every scope a key can have; also what a key gets when none is named.
    pub const ALL: [Self; 5] =
        [Self::Generate, Self::GenerationsRead, Self::GenerationsWrite, Self::ModelsRead, Self::AccountRead];

    /// The scope's public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::GenerationsRead => "generations:read",
            Self::GenerationsWrite => "generations:write",
            Self::ModelsRead => "models:read",
            Self::AccountRead => "account:read",
        }
    }

    /// Finds a scope by its public name; an unknown one is refused at creation (V29).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

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
}

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
    },
    /// A claim on this id went stale before the account opened; nothing may open it any more (DESIGN 4, Uniqueness).
    AccountAbandoned {},
    /// The address was proven (U26).
    EmailVerified {},
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
    },
    /// A key was revoked, for ever (V30).
    ApiKeyRevoked {
        /// The key.
        key_id: ApiKeyId,
    },
}

impl AccountEvent {
    /// The event's stored name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened { .. } => "AccountOpened",
            Self::AccountAbandoned {} => "AccountAbandoned",
            Self::EmailVerified {} => "EmailVerified",
            Self::DisplayNameChanged { .. } => "DisplayNameChanged",
            Self::BioChanged { .. } => "BioChanged",
            Self::PublishPreferenceChanged { .. } => "PublishPreferenceChanged",
            Self::PlanAssigned { .. } => "PlanAssigned",
            Self::SessionStarted { .. } => "SessionStarted",
            Self::SessionEnded { .. } => "SessionEnded",
            Self::ApiKeyCreated { .. } => "ApiKeyCreated",
            Self::ApiKeyRevoked { .. } => "ApiKeyRevoked",
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

impl PersonalFields for AccountEvent {
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>> {
        const PROFILE: KeyClass = KeyClass::Profile;
        match self {
            Self::AccountOpened { email, username, display_name } => vec![
                PersonalSlot::new("email", PROFILE, email),
                PersonalSlot::new("username", PROFILE, username),
                PersonalSlot::new("display_name", PROFILE, display_name),
            ],
            Self::DisplayNameChanged { display_name } => vec![PersonalSlot::new("display_name", PROFILE, display_name)],
            Self::BioChanged { bio } => vec![PersonalSlot::new("bio", PROFILE, bio)],
            Self::ApiKeyCreated { label, .. } => vec![PersonalSlot::new("label", PROFILE, label)],
            Self::AccountAbandoned {}
            | Self::EmailVerified {}
            | Self::PublishPreferenceChanged { .. }
            | Self::PlanAssigned { .. }
            | Self::SessionStarted { .. }
            | Self::SessionEnded { .. }
            | Self::ApiKeyRevoked { .. } => Vec::new(),
        }
    }
}
