//! `keepTwoFactor`: the owner of a second factor has it after all; staff do not turn it off (U36). By the link of the mail, or signed in.
//!
//! The event comes before the link is used up: a crash in between leaves a link whose repeat changes nothing.

use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::{AccountId, Reason};
use atelier_vault::MailToken;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};

use crate::command_path::CommandContext;
use crate::event_store::{IdempotencyKey, Position};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Keeps a second factor on.
#[derive(Clone)]
pub enum KeepTwoFactor {
    /// By the mail's link.
    ByLink {
        /// Its token.
        token: String,
    },
    /// By somebody signed in.
    ByOwner {
        /// Who.
        account: AccountId,
    },
}

impl KeepTwoFactor {
    /// Runs the use case; the answer is the position to read from. When nothing is going to be turned off, it changes nothing.
    ///
    /// # Errors
    /// `invalid_token` when the link is wrong, used or too late; which, is not said.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let (purpose, now) = (MailPurpose::KeepTwoFactor, write.now());
        let refused =
            || Refusal::coded(RefusalCode::InvalidToken, "token", Reason::Wrong, "This link is not valid any more.");
        let digest = match self {
            Self::ByOwner { account } => return stop(write, context, context.key(), account).await,
            Self::ByLink { token } => write.secrets.mail(&MailToken::parse(&token).map_err(|_| refused())?),
        };
        let account = mail_tokens::peek(&write.pool, &digest, purpose, now).await?.ok_or_else(refused)?.account;
        let position = stop(write, context, None, account).await?;
        mail_tokens::consume(&write.pool, &digest, purpose, now).await?;
        Ok(position)
    }
}

/// Stops a reset of the second factor that waits for its time; nothing when none does.
pub(super) async fn stop(
    write: &WriteSide,
    context: &CommandContext,
    key: Option<&IdempotencyKey>,
    account: AccountId,
) -> Result<Position, UseCaseError> {
    let command = |_| AccountCommand::StopTwoFactorReset;
    let executed = write.path.execute::<Account>(&account_target(account), context, key, command).await;
    Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
}
