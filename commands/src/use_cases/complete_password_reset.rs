//! `completePasswordReset`: a new password by the token of its mail (A15). It opens no session, so it does not skip the second
//! factor (sec.S5); the device becomes known, which signs nobody in either.
//!
//! What happens when the process dies: the token is used up in the transaction that moves the password's row, so either both are done
//! or neither; for the rest see `password_changes`.

use atelier_domain::account::{Account, PasswordVia, Status};
use atelier_domain::{AccountId, Reason};
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use atelier_vault::credential_rows::passwords::{self, Ends, Grounds, PasswordChange};
use atelier_vault::{DeviceToken, MailToken, OwnNames, SecretDigest};

use super::password_changes::{NewPassword, own_names, record};
use crate::command_path::{CommandContext, Loaded};
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, refused, together};
use crate::write_side::WriteSide;

/// Sets a new password.
#[derive(Clone)]
pub struct CompletePasswordReset {
    /// The token of the mail's link.
    pub token: String,
    /// The password from now on.
    pub new_password: String,
    /// What the owner keeps of what else opens the account; the rest ends with the old password.
    pub keep: Keep,
}

/// What goes on after a reset.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// API keys.
    pub api_keys: bool,
    /// Identities elsewhere. They always go on where there was no password: they are how its owner gets in.
    pub identities: bool,
}

impl CompletePasswordReset {
    /// Runs the use case; the answer is the position to read from, and what makes this device known to the account: its next sign-in is
    /// not refused for what strangers try (U35). A password that the rules refuse uses nothing up.
    ///
    /// # Errors
    /// `invalid_token` when it is wrong, used or expired; which, is not said. `invalid_field` for the password; `rate_limited`.
    pub async fn run(
        self,
        write: &WriteSide,
        context: &CommandContext,
    ) -> Result<(Position, DeviceToken), UseCaseError> {
        let owner = refused(self.owner(write).await)?;
        let names = match &owner {
            Ok((account, loaded, _)) => own_names(write, *account, &loaded.state).await?,
            Err(_) => OwnNames::default(),
        };
        let new = NewPassword::check(write, "new_password", &self.new_password, names).await?;
        let ((account, loaded, digest), new) = together((owner, new))?;
        let phc = new.hash(write).await?;
        let via = if loaded.state.has_password() { PasswordVia::Reset } else { PasswordVia::Added };
        let ends =
            Ends { api_keys: !self.keep.api_keys, identities: !self.keep.identities && via == PasswordVia::Reset };
        let change = PasswordChange { id: write.fresh_id(), account, via, keeps: None };
        if !passwords::change(&write.pool, &change, Grounds::Reset(&digest), &phc, ends, write.now()).await? {
            return Err(not_valid().into());
        }
        let position = record(write, context, &change).await?;
        Ok((position, write.secrets.device(account, write.ports.random.as_ref(), write.now())))
    }

    /// Whose link it is, as the log has them, and the digest that the link is found by.
    async fn owner(&self, write: &WriteSide) -> Result<(AccountId, Loaded<Account>, SecretDigest), UseCaseError> {
        let token = MailToken::parse(&self.token).map_err(|_| not_valid())?;
        let digest = write.secrets.mail(&token);
        let found = mail_tokens::peek(&write.pool, &digest, MailPurpose::ResetPassword, write.now()).await?;
        let held = found.ok_or_else(not_valid)?;
        let account = held.account;
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        // A link that went to a former address is in somebody else's hands, perhaps; an unproven one is proven by its own link.
        if loaded.state.status() != Status::Open
            || !loaded.state.email_verified()
            || !held.was_mailed_to(loaded.state.email())
        {
            return Err(not_valid().into());
        }
        Ok((account, loaded, digest))
    }
}

fn not_valid() -> Refusal {
    let message = "This link is not valid any more; ask for a new one.";
    Refusal::coded(RefusalCode::InvalidToken, "token", Reason::Wrong, message)
}
