//! Who asks, as the transport found out.

use async_graphql::{Context, Result};
use atelier_commands::CommandContext;
use atelier_domain::{AccountId, Actor, SessionId};

use crate::Sides;
use crate::error::unauthenticated;

/// Who asks. GraphQL accepts sessions; API keys have REST (B01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody signed in.
    Anonymous,
    /// A session that counts.
    Session {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
}

/// The signed-in account and its session, or the error that says one is needed.
pub(crate) fn signed_in(context: &Context<'_>) -> Result<(AccountId, SessionId)> {
    match context.data_opt::<Caller>() {
        Some(Caller::Session { account, session }) => Ok((*account, *session)),
        Some(Caller::Anonymous) | None => Err(unauthenticated()),
    }
}

/// The signed-in account, if any.
pub(crate) fn account(context: &Context<'_>) -> Option<AccountId> {
    match context.data_opt::<Caller>() {
        Some(Caller::Session { account, .. }) => Some(*account),
        Some(Caller::Anonymous) | None => None,
    }
}

/// The context of a command that this caller gives.
pub(crate) fn command_context(context: &Context<'_>) -> Result<CommandContext> {
    let sides = context.data::<Sides>()?;
    Ok(sides.write.request_context(account(context).map_or(Actor::Anonymous, Actor::Account)))
}

/// How the session's cookie is written: with the `__Host-` prefix over HTTPS, without it in development (sec.R2).
#[derive(Debug, Clone, Copy)]
pub struct SessionCookie {
    /// Whether clients reach us by HTTPS.
    pub secure: bool,
}

impl SessionCookie {
    /// The cookie's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        if self.secure { "__Host-atelier-session" } else { "atelier-session-dev" }
    }

    fn attributes(self) -> &'static str {
        if self.secure { "Path=/; Secure; HttpOnly; SameSite=Lax" } else { "Path=/; HttpOnly; SameSite=Lax" }
    }

    /// The header that sets it.
    #[must_use]
    pub fn set(self, token: &str, life: chrono::TimeDelta) -> String {
        format!("{}={token}; Max-Age={}; {}", self.name(), life.num_seconds().max(0), self.attributes())
    }

    /// The header that removes it.
    #[must_use]
    pub fn clear(self) -> String {
        format!("{}=; Max-Age=0; {}", self.name(), self.attributes())
    }
}
