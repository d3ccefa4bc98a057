//! `changePassword`: the current one, then a new one (V08, C5). The other sessions end before it is acknowledged, and the API keys
//! if its owner says so. The password that counts already is no change: it is not written again, and the rest ends all the same.
//!
//! What happens when the process dies: see `password_changes`.

use atelier_domain::account::{Account, PasswordVia};
use atelier_domain::{AccountId, SessionId};
use atelier_vault::Share;
use atelier_vault::credential_rows::passwords::{self, Ends, Grounds, PasswordChange};

use super::password_changes::{NewPassword, end_beside, own_names, record, recorded_at};
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
    /// `KeyReused` for another new password under the same key, or one that does otherwise with the API keys;
    /// `no_password` when the account has none: its owner sets one by the mail of `requestPasswordReset`; `invalid_credentials` for a
    /// wrong current password, which counts as a try (U35); `invalid_field` for the new one;
    /// `rate_limited`; `Conflict` when somebody else changed it at the same moment.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(Position, bool), UseCaseError> {
        let Self { account, session, current_password, new_password, revoke_api_keys, idempotency_key } = self;
        let write = &write.hashing_for(Share::Known);
        let mut id = write.fresh_id();
        if let Some(sent) = idempotency::sent(idempotency_key.as_deref())? {
            // What is to become of the keys is in the id, so that a request that says otherwise is told from a repeat.
            let mut kinds = [idempotency::CHANGE_PASSWORD, idempotency::CHANGE_PASSWORD_AND_END_KEYS];
            if revoke_api_keys {
                kinds.reverse();
            }
            let [this, other] = kinds.map(|kind| idempotency::id(write, account, kind, sent));
            if let Some(position) = recorded_at(write, account, this).await? {
                return match refused(prove_password(write, account, "new_password", &new_password).await)? {
                    Ok(_) => Ok((position, true)),
                    Err(refusal) if refusal.code == RefusalCode::InvalidCredentials => Err(CommandError::KeyReused),
                    Err(refusal) => Err(refusal.into()),
                };
            }
            if recorded_at(write, account, other).await?.is_some() {
                return Err(CommandError::KeyReused);
            }
            id = this;
        }
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let names = own_names(write, account, &loaded.state).await?;
        let new = NewPassword::check(write, "new_password", &new_password, names).await?;
        let proven = refused(prove_password(write, account, "current_password", &current_password).await)?;
        let (version, new) = together((proven, new))?;
        let change = PasswordChange { id, account, via: PasswordVia::Change, keeps: Some(session) };
        let ends = Ends { api_keys: revoke_api_keys, identities: false };
        if new.is(&current_password) {
            return Ok((end_beside(write, context, &change, version, ends).await?, false));
        }
        let phc = new.hash(write).await?;
        if !passwords::change(&write.pool, &change, Grounds::Password(version), &phc, ends, write.now()).await? {
            return Err(CommandError::Conflict);
        }
        Ok((record(write, context, &change).await?, false))
    }
}
