//! `changePassword`: the current one, then a new one (V08, C5). The other sessions end before it is acknowledged, and the API keys
//! if its owner says so.
//!
//! What happens when the process dies: see `password_changes`.

use atelier_domain::account::{Account, PasswordVia};
use atelier_domain::{AccountId, SessionId};
use atelier_vault::Share;
use atelier_vault::credential_rows::passwords::{self, Ends, Grounds, PasswordChange};

use super::password_changes::{NewPassword, own_names, record, recorded_at};
use super::reauthenticate::prove_password;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::idempotency;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, refused, together};
use crate::write_side::WriteSide;

/// Changes a password.
#[derive(Clone)]
pub struct ChangePassword {
    /// Whose.
    pub account: AccountId,
    /// The session that asks; it goes on.
    pub session: SessionId,
    /// The password now.
    pub current_password: String,
    /// The password from now on.
    pub new_password: String,
    /// Whether every API key ends with the old one.
    pub revoke_api_keys: bool,
    /// A repeat with the same key is the same change, if it brings the same new password.
    pub idempotency_key: Option<String>,
}

impl ChangePassword {
    /// Runs the use case; the answer is the position to read from, and whether an earlier request with the same key had done it. Of a
    /// password no fast digest is kept, so a repeat is told from another request by the new one's being the one that counts now; a wrong
    /// one is a try, as a wrong current one is.
    ///
    /// # Errors
    /// `KeyReused` for another new password under the same key;
    /// `no_password` when the account has none: its owner sets one by the mail of `requestPasswordReset`; `invalid_credentials` for a
    /// wrong current password, which counts as a try (U35); `invalid_field` for the new one;
    /// `rate_limited`; `Conflict` when somebody else changed it at the same moment.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(Position, bool), UseCaseError> {
        let Self { account, session, current_password, new_password, revoke_api_keys, idempotency_key } = self;
        let write = &write.hashing_for(Share::Known);
        let sent = idempotency::sent(idempotency_key.as_deref())?;
        let id = match sent {
            Some(sent) => idempotency::id(write, account, idempotency::CHANGE_PASSWORD, sent),
            None => write.fresh_id(),
        };
        if sent.is_some()
            && let Some(position) = recorded_at(write, account, id).await?
        {
            return match refused(prove_password(write, account, "new_password", &new_password).await)? {
                Ok(_) => Ok((position, true)),
                Err(refusal) if refusal.code == RefusalCode::InvalidCredentials => Err(CommandError::KeyReused),
                Err(refusal) => Err(refusal.into()),
            };
        }
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let names = own_names(write, account, &loaded.state).await?;
        let new = NewPassword::check(write, "new_password", &new_password, names).await?;
        let proven = refused(prove_password(write, account, "current_password", &current_password).await)?;
        let (version, new) = together((proven, new))?;
        let phc = new.hash(write).await?;
        let change = PasswordChange { id, account, via: PasswordVia::Change, keeps: Some(session) };
        let ends = Ends { api_keys: revoke_api_keys, identities: false };
        if !passwords::change(&write.pool, &change, Grounds::Password(version), &phc, ends, write.now()).await? {
            return Err(CommandError::Conflict);
        }
        Ok((record(write, context, &change).await?, false))
    }
}
