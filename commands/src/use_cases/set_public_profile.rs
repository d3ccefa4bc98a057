//! `setPublicProfile`: whether others see the public profile (V05, C3).

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Shows the public profile to others, or not.
#[derive(Debug, Clone, Copy)]
pub struct SetPublicProfile {
    /// Whose.
    pub account: AccountId,
    /// On or off.
    pub public: bool,
}

impl SetPublicProfile {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `not_found` when the account is not open.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let command = |_| AccountCommand::SetPublicProfile { public: self.public };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
