//! `revokeApiKey`: final, and in effect on the very next call, on every node (B06, V30, sec.K3).
//!
//! The row first, then the event: a crash in between leaves a dead key whose event the reconciler appends.

use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::{AccountId, ApiKeyId, Reason};
use atelier_vault::credential_rows::api_keys;

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Revokes a key for ever.
#[derive(Debug, Clone, Copy)]
pub struct RevokeApiKey {
    /// Whose.
    pub account: AccountId,
    /// The key.
    pub key: ApiKeyId,
}

impl RevokeApiKey {
    /// Runs the use case; the answer is the position to read from. A repeat changes nothing.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        if !api_keys::revoke(&write.pool, self.account, self.key).await? {
            return Err(
                Refusal::coded(RefusalCode::NotFound, "id", Reason::Unknown, "There is no such API key.").into()
            );
        }
        let command = |_| AccountCommand::RevokeApiKey { key_id: self.key };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
