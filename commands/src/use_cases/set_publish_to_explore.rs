//! `setPublishToExplore`: whether future generations go to Explore (A24-A26).

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Turns publishing on or off, for generations accepted from now on.
#[derive(Debug, Clone, Copy)]
pub struct SetPublishToExplore {
    /// Whose.
    pub account: AccountId,
    /// On or off.
    pub publish: bool,
}

impl SetPublishToExplore {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `plan_required` when a free account turns it off.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let command = |_| AccountCommand::SetPublishToExplore { publish: self.publish };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
