//! `resendVerification`: another mail with a fresh link (U26).

use atelier_domain::AccountId;
use atelier_domain::account::Account;

use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use chrono::TimeDelta;

use crate::process::{Work, enqueue};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// The least time between two mails.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

/// Sends the verification mail again.
#[derive(Debug, Clone, Copy)]
pub struct ResendVerification {
    /// To whom.
    pub account: AccountId,
}

impl ResendVerification {
    /// Runs the use case. At most one mail a minute leaves, however often it is asked for; a verified address gets none.
    ///
    /// # Errors
    /// When the account cannot be loaded.
    pub async fn run(self, write: &WriteSide) -> Result<(), UseCaseError> {
        let loaded =
            write.path.load::<Account>(&self.account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        if loaded.state.email_verified() {
            return Ok(());
        }
        // The work's row is gone once it is done; the token it made is what remembers.
        if mail_tokens::made_since(&write.pool, self.account, MailPurpose::VerifyEmail, write.now() - PAUSE).await? {
            return Ok(());
        }
        let minute = write.now().timestamp() / 60;
        let id = format!("resendVerification:{}:{minute}", self.account);
        enqueue(&write.pool, &id, &Work::SendVerificationMail { account: self.account }).await?;
        Ok(())
    }
}
