//! `changePassword`: the current one, then a new one (V08, C5). The other sessions end before it is acknowledged.
//!
//! What happens when the process dies: see `password_changes`.

use atelier_domain::account::{Account, PasswordVia};
use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::passwords::{self, Grounds, PasswordChange};

use super::password_changes::{NewPassword, own_names, record};
use super::reauthenticate::prove_password;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError, refused, together};
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
}

impl ChangePassword {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `no_password` when the account has none: its owner sets one by the mail of `requestPasswordReset`; `invalid_credentials` for a
    /// wrong current password, which counts as a try (U35); `invalid_field` for the new one;
    /// `rate_limited`; `Conflict` when somebody else changed it at the same moment.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let Self { account, session, current_password, new_password } = self;
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let names = own_names(write, account, &loaded.state).await?;
        let new = NewPassword::check(write, "new_password", &new_password, names).await?;
        let proven = refused(prove_password(write, account, "current_password", &current_password).await)?;
        let (version, new) = together((proven, new))?;
        let phc = new.hash(write).await?;
        let change = PasswordChange { id: write.fresh_id(), account, via: PasswordVia::Change, keeps: Some(session) };
        if !passwords::change(&write.pool, &change, Grounds::Password(version), &phc, write.now()).await? {
            return Err(CommandError::Conflict);
        }
        record(write, context, &change).await
    }
}
