//! `setLanguage`: the language that an account's mails are written in.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, Language};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Chooses a language.
#[derive(Debug, Clone, Copy)]
pub struct SetLanguage {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub language: Language,
}

impl SetLanguage {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// When the account is not open.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let command = |_| AccountCommand::SetLanguage { language: self.language };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
