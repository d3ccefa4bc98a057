//! `verifyEmail`: proves an address by the token of its mail (U26).
//!
//! The event comes before the token is used up: a crash in between leaves a token whose repeat changes nothing.

use atelier_domain::account::{Account, AccountCommand};
use atelier_vault::MailToken;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Proves an address.
#[derive(Clone)]
pub struct VerifyEmail {
    /// The token of the mail's link.
    pub token: String,
}

impl VerifyEmail {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_token` when it is wrong, used or expired; which, is not said.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let refused = || Refusal::new(RefusalCode::InvalidToken, "This link is not valid any more; ask for a new one.");
        let token = MailToken::parse(&self.token).map_err(|_| refused())?;
        let digest = write.secrets.mail(&token);
        let now = write.now();
        let account =
            mail_tokens::peek(&write.pool, &digest, MailPurpose::VerifyEmail, now).await?.ok_or_else(refused)?;
        let executed = write
            .path
            .execute::<Account>(&account_target(account), context, None, |_| AccountCommand::VerifyEmail)
            .await;
        let position = executed.map_err(|error| error.map(Refusal::from))?.position();
        mail_tokens::consume(&write.pool, &digest, MailPurpose::VerifyEmail, now).await?;
        Ok(position)
    }
}
