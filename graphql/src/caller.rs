//! Who asks, as the transport found out.

use async_graphql::{Context, Result};
use atelier_commands::use_cases::reauthenticate::FRESH;
use atelier_commands::{CommandContext, Origin, Refusal, RefusalCode};
use atelier_domain::{AccountId, Actor, SessionId};
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::error::{session_over, unauthenticated};
use crate::payload::UserErrors;

/// Who asks. GraphQL accepts sessions; API keys have REST (B01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody signed in, and no credential was brought.
    Anonymous,
    /// A credential that is none, or whose session is over. Public fields and signing in are open to it as to [`Self::Anonymous`], but
    /// what is the viewer's says that it does not count.
    Ended,
    /// A session that counts.
    Session {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
        /// When somebody last proved who they are in it (sec.S7).
        proved_at: DateTime<Utc>,
    },
}

/// The signed-in account and its session, or the error that says one is needed.
pub(crate) fn signed_in(context: &Context<'_>) -> Result<(AccountId, SessionId)> {
    match context.data_opt::<Caller>() {
        Some(Caller::Session { account, session, .. }) => Ok((*account, *session)),
        Some(Caller::Ended) => Err(session_over()),
        Some(Caller::Anonymous) | None => Err(unauthenticated()),
    }
}

/// The account of `me`: none without a credential.
///
/// # Errors
/// `UNAUTHENTICATED` for a credential that does not count.
pub(crate) fn viewer(context: &Context<'_>) -> Result<Option<AccountId>> {
    match context.data_opt::<Caller>() {
        Some(Caller::Ended) => Err(session_over()),
        Some(Caller::Session { .. } | Caller::Anonymous) | None => Ok(account(context)),
    }
}

/// The signed-in account and its session, if somebody proved who they are in it not long ago (sec.S7); else the refusal that asks for
/// `reauthenticate`.
///
/// # Errors
/// `UNAUTHENTICATED` without a session.
pub fn freshly_proven(context: &Context<'_>) -> Result<std::result::Result<(AccountId, SessionId), UserErrors>> {
    let (account, session) = signed_in(context)?;
    let now = context.data::<Sides>()?.write.now();
    match context.data_opt::<Caller>() {
        Some(Caller::Session { proved_at, .. }) if now - *proved_at <= FRESH => Ok(Ok((account, session))),
        _ => {
            let message = "This needs a fresh proof of who you are; prove it first.";
            Ok(Err(Refusal::new(RefusalCode::ReauthenticationRequired, message).into()))
        }
    }
}

/// Where the request comes from.
pub(crate) fn origin(context: &Context<'_>) -> Origin {
    context.data_opt::<Origin>().cloned().unwrap_or_default()
}

/// The signed-in account, if any.
pub(crate) fn account(context: &Context<'_>) -> Option<AccountId> {
    match context.data_opt::<Caller>() {
        Some(Caller::Session { account, .. }) => Some(*account),
        Some(Caller::Anonymous | Caller::Ended) | None => None,
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

    /// The name of the device's cookie, which outlives sessions and signs nobody in (U35).
    #[must_use]
    pub const fn device_name(self) -> &'static str {
        if self.secure { "__Host-atelier-device" } else { "atelier-device-dev" }
    }

    /// The header that sets the device's cookie.
    #[must_use]
    pub fn set_device(self, token: &str, life: chrono::TimeDelta) -> String {
        format!("{}={token}; Max-Age={}; {}", self.device_name(), life.num_seconds(), self.attributes())
    }

    /// The name of the cookie of a browser that goes to another provider and comes back (sec.O1).
    #[must_use]
    pub const fn browser_name(self) -> &'static str {
        if self.secure { "__Host-atelier-browser" } else { "atelier-browser-dev" }
    }

    /// The header that sets the cookie of a browser that leaves.
    #[must_use]
    pub fn set_browser(self, token: &str, life: chrono::TimeDelta) -> String {
        format!("{}={token}; Max-Age={}; {}", self.browser_name(), life.num_seconds(), self.attributes())
    }

    /// The header that removes it.
    #[must_use]
    pub fn clear_browser(self) -> String {
        format!("{}=; Max-Age=0; {}", self.browser_name(), self.attributes())
    }

    /// The name of the cookie of a browser that signed up and has yet to prove the address (U26).
    #[must_use]
    pub const fn sign_up_name(self) -> &'static str {
        if self.secure { "__Host-atelier-sign-up" } else { "atelier-sign-up-dev" }
    }

    /// The header that sets the cookie of a sign-up.
    #[must_use]
    pub fn set_sign_up(self, token: &str, life: chrono::TimeDelta) -> String {
        format!("{}={token}; Max-Age={}; {}", self.sign_up_name(), life.num_seconds(), self.attributes())
    }

    /// The header that removes it.
    #[must_use]
    pub fn clear_sign_up(self) -> String {
        format!("{}=; Max-Age=0; {}", self.sign_up_name(), self.attributes())
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
