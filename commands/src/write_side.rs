//! The write side as use cases see it: the command path, the rows beside events, and the ports.

use atelier_domain::{AccountId, Actor};
use atelier_vault::{BlindIndex, Passwords, Secrets, UsernameQuarantine, Vault};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::command_path::{CommandContext, CommandPath, Target};
use crate::ports::{Ports, fresh_id};

/// Everything a use case needs. Cheap to clone.
#[derive(Clone)]
pub struct WriteSide {
    /// Load, decide, seal, append.
    pub path: CommandPath,
    /// Rows beside events: claims, credentials, work.
    pub pool: PgPool,
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
    /// Where links in mails point, without a trailing slash.
    pub public_url: String,
}

impl WriteSide {
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

    /// The context of one request from outside.
    #[must_use]
    pub fn request_context(&self, actor: Actor) -> CommandContext {
        let id = self.fresh_id();
        CommandContext { actor, correlation_id: id, causation_id: id }
    }
}

/// The stream of an account, sealed with its own keys.
pub(crate) fn account_target(account: AccountId) -> Target {
    Target { id: account.to_string(), subject: account }
}
