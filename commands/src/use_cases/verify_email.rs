//! `verifyEmail`: proves an address by the token of its mail (U26).
//!
//! A link proves the address that it was mailed to, and no other that the account has by then.
//!
//! The event comes before the token is used up: a crash in between leaves a token whose repeat changes nothing.

use atelier_domain::Reason;
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
        let refused = || {
            Refusal::coded(
                RefusalCode::InvalidToken,
                "token",
                Reason::Wrong,
                "This link is not valid any more; ask for a new one.",
            )
        };
        let token = MailToken::parse(&self.token).map_err(|_| refused())?;
        let digest = write.secrets.mail(&token);
        let now = write.now();
        let held = mail_tokens::peek(&write.pool, &digest, MailPurpose::VerifyEmail, now).await?.ok_or_else(refused)?;
        let account = held.account;
        let owner = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let address = owner.state.email().cloned();
        if !held.was_mailed_to(address.as_ref()) {
            return Err(refused().into());
        }
        // Decided on the address that was looked at: it may change in between.
        let verify = |_| AccountCommand::VerifyEmail { address: address.clone() };
        let executed = write.path.execute::<Account>(&account_target(account), context, None, verify).await;
        let position = executed.map_err(|error| error.map(Refusal::from))?.position();
        mail_tokens::consume(&write.pool, &digest, MailPurpose::VerifyEmail, now).await?;
        Ok(position)
    }
}
