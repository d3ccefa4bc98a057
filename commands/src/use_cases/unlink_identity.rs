//! `unlinkIdentity`: an identity elsewhere signs in no more; refused when it is the only way in (A16).
//!
//! What happens when the process dies: the row stops counting first; the reconciler appends the event, or lets the row count again
//! when it has become the only way in.

use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::{AccountId, IdentityId, Reason};
use atelier_vault::credential_rows::identities;

use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Unlinks an identity. The caller has seen a fresh proof of who asks (sec.S7).
#[derive(Debug, Clone, Copy)]
pub struct UnlinkIdentity {
    /// Whose.
    pub account: AccountId,
    /// The identity.
    pub identity: IdentityId,
}

impl UnlinkIdentity {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's; `not_possible_now` when nothing else lets its owner in.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let Self { account, identity } = self;
        if !identities::revoke(&write.pool, account, identity).await? {
            return Err(Refusal::coded(
                RefusalCode::NotFound,
                "identity_id",
                Reason::Unknown,
                "There is no such identity.",
            )
            .into());
        }
        let command = |_| AccountCommand::UnlinkIdentity { identity_id: identity };
        match write.path.execute::<Account>(&account_target(account), context, context.key(), command).await {
            Ok(executed) => {
                identities::remove(&write.pool, identity).await?;
                Ok(executed.position())
            }
            Err(error) => {
                if matches!(error, CommandError::Refused(_) | CommandError::Conflict) {
                    identities::restore(&write.pool, identity).await?;
                }
                Err(error.map(Refusal::from))
            }
        }
    }
}
