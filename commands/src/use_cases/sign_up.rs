//! `signUp`: email, password, username. The answer does not tell whether the address was known (sec.S4).
//!
//! What happens when the process dies: after the claims or the password row, the claims go stale and are cleared by whoever
//! wants them next; after the keys, likewise; after the event, the account is open and `Welcome` sends the mail.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::policy::account::MINIMUM_AGE;
use atelier_domain::text::{Email, Username, check_password};
use atelier_vault::PasswordError;
use atelier_vault::credential_rows::passwords;

use super::account_claims::{self, Claims};
use crate::command_path::{CommandContext, CommandError};
use crate::process::{Work, enqueue};
use crate::refusal::{Refusal, UseCaseError, in_field};
use crate::write_side::{WriteSide, account_target};

/// Opens an account.
#[derive(Clone)]
pub struct SignUp {
    /// The address; proven by mail afterwards.
    pub email: String,
    /// The password; stored as argon2id only.
    pub password: String,
    /// The handle of the public profile.
    pub username: String,
}

impl SignUp {
    /// Runs the use case. The answer is the same whether or not the address was new; so it has no position, which would tell.
    ///
    /// # Errors
    /// `invalid_field` naming the field; `username_taken`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(), UseCaseError> {
        let email = in_field("email", Email::parse(&self.email))?;
        let username = in_field("username", Username::parse(&self.username))?;
        in_field("password", check_password(&self.password))?;
        // Hashed before anything is known about the address, so that the dear part of the work is the same for both.
        let phc = write.passwords.hash(&self.password).await.map_err(busy)?;
        let account = AccountId(write.fresh_id());
        match account_claims::claim(write, context, account, &email, &username).await? {
            Claims::Ours => {}
            Claims::UsernameTaken => return Err(account_claims::username_taken()),
            Claims::EmailTaken(owner) => {
                if let Some(owner) = owner {
                    let work = Work::SendAlreadyRegisteredMail { account: owner };
                    enqueue(&write.pool, &format!("signUp:{}:0", context.correlation_id), &work).await?;
                }
                return Ok(());
            }
        }
        passwords::set(&write.pool, account, &phc, write.now()).await?;
        write.vault.store().create(account).await.map_err(|error| CommandError::Internal(error.to_string()))?;
        let command = |_| AccountCommand::Open {
            email: email.clone(),
            username: username.clone(),
            minimum_age: MINIMUM_AGE,
            address_claimed: true,
            vouched_by: None,
        };
        let executed = write.path.execute::<Account>(&account_target(account), context, None, command).await;
        executed.map_err(|error| error.map(Refusal::from))?;
        Ok(())
    }
}

/// Too many hashes wait: the caller may try again; a fault is a fault.
pub(super) fn busy(error: PasswordError) -> UseCaseError {
    match error {
        PasswordError::Busy => CommandError::Unavailable,
        PasswordError::Failed => CommandError::Internal("a password could not be hashed".into()),
    }
}
