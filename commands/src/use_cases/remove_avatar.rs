//! `removeAvatar`: no avatar any more. After the event `AvatarKeeper` has the objects removed; a crash in between only delays that.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Shows no avatar any more.
#[derive(Debug, Clone, Copy)]
pub struct RemoveAvatar {
    /// Whose.
    pub account: AccountId,
}

impl RemoveAvatar {
    /// Runs the use case; the answer is the position to read from. Without an avatar it changes nothing.
    ///
    /// # Errors
    /// `not_found` when the account is not open.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let target = account_target(self.account);
        let executed =
            write.path.execute::<Account>(&target, context, context.key(), |_| AccountCommand::RemoveAvatar).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
