//! The write side as use cases see it: the command path, the rows beside events, and the ports.

use std::sync::Arc;

use atelier_domain::{AccountId, Actor};
use atelier_vault::{BlindIndex, Passwords, Secrets, Share, UsernameQuarantine, Vault};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::api_policy::ApiPolicy;
use crate::command_path::{CommandContext, CommandPath, Target};
use crate::held_locks::HeldLocks;
use crate::key_usage::KeyUsage;
use crate::ports::{Ports, fresh_id};
use crate::return_address::ReturnAddresses;

/// Everything a use case needs. Cheap to clone.
#[derive(Clone)]
pub struct WriteSide {
    /// Load, decide, seal, append.
    pub path: CommandPath,
    /// Rows beside events: claims, credentials, work.
    pub pool: PgPool,
    /// Locks that are held over several statements, one of a kind at a time.
    pub locks: HeldLocks,
    /// Seals and opens personal data.
    pub vault: Vault,
    /// Password hashing, bounded.
    pub passwords: Passwords,
    /// Keyed digests of secrets.
    pub secrets: Secrets,
    /// Keyed digests of addresses and names.
    pub blind_index: BlindIndex,
    /// Names of deleted accounts.
    pub quarantine: UsernameQuarantine,
    /// The outside world.
    pub ports: Ports,
    /// Where this server is reached, without a trailing slash.
    pub public_url: String,
    /// What a deployment decides about access.
    pub access: AccessSettings,
    /// What API keys may do here.
    pub api: Arc<ApiPolicy>,
    /// How often they did.
    pub usage: KeyUsage,
    /// Until when idempotency keys that an earlier release stored in the clear are looked for as well (`idempotency::clear_until`).
    pub clear_keys_until: DateTime<Utc>,
}

/// What a deployment decides about access; the defaults work.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// The longest a session counts, used or not (sec.S6).
    pub session_life: TimeDelta,
    /// Whether a password needs a number and a symbol (V08); its length and the common ones are checked either way.
    pub password_composition: bool,
    /// The frontend that has pages for the links of mails, without a trailing slash; the server's own pages when there is none.
    pub frontend_url: Option<String>,
    /// Where a browser may be sent back to after a sign-in elsewhere (sec.O1).
    pub return_addresses: ReturnAddresses,
    /// Where people reach support: a page, or `mailto:`; none when the operator has not said.
    pub support_url: Option<String>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            session_life: TimeDelta::days(90),
            password_composition: true,
            frontend_url: None,
            return_addresses: ReturnAddresses::default(),
            support_url: None,
        }
    }
}

impl WriteSide {
    /// The same, for somebody who asks for passwords to be hashed: they take that one's places.
    #[must_use]
    pub fn hashing_for(&self, share: Share) -> Self {
        Self { passwords: self.passwords.shared_by(share), ..self.clone() }
    }

    /// The clock's instant.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.ports.clock.now()
    }

    /// A fresh id.
    #[must_use]
    pub fn fresh_id(&self) -> Uuid {
        fresh_id(self.ports.random.as_ref(), self.now())
    }

    /// A page that a mail links to: the frontend's, or the server's own.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.access.frontend_url.as_ref().unwrap_or(&self.public_url))
    }

    /// The context of one request from outside.
    #[must_use]
    pub fn request_context(&self, actor: Actor) -> CommandContext {
        let id = self.fresh_id();
        CommandContext { actor, correlation_id: id, causation_id: id, key: None }
    }
}

/// The stream of an account, sealed with its own keys.
pub(crate) fn account_target(account: AccountId) -> Target {
    Target { id: account.to_string(), subject: account }
}
