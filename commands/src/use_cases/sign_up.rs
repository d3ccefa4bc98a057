//! `signUp`: email, password, username. Nothing tells whether the address was known, neither the answer nor the work nor what others
//! see (sec.S4): with a taken address an account opens all the same, which has its username, can never be verified, and signs in to
//! nothing; its mail says that there is an account already.
//!
//! What happens when the process dies: after the claims or the password row, the claims go stale and are cleared by whoever
//! wants them next; after the keys, likewise; after the event, the account is open, `Welcome` sends the mail, and whoever meets the
//! claims settles them.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::policy::account::declared_age;
use atelier_domain::text::{Email, Username};
use atelier_vault::OwnNames;
use atelier_vault::credential_rows::{claims, passwords};

use super::account_claims::{self, Claims, email_digest, username_taken};
use super::password_changes::NewPassword;
use super::username_availability::is_free;
use crate::command_path::{CommandContext, CommandError};
use crate::origin::Origin;
use crate::refusal::{Refusal, UseCaseError, in_field, together};
use crate::throttle::{self, Bucket, Rule};
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
    /// The age the person declares to have reached (U42).
    pub minimum_age: i32,
    /// From where.
    pub origin: Origin,
}

impl SignUp {
    /// Runs the use case. The answer is the same whether or not the address was new; so it has no position, which would tell.
    ///
    /// # Errors
    /// `invalid_field` naming the field; `username_taken`; `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(), UseCaseError> {
        let (email, username) =
            (in_field("email", Email::parse(&self.email)), in_field("username", Username::parse(&self.username)));
        let address = email.as_ref().map(Email::folded).ok();
        let handle = username.as_ref().map(|name| name.as_ref().to_owned()).ok();
        let names = OwnNames { clear: address.into_iter().chain(handle).collect(), username: None };
        let (email, username, minimum_age, password) = together((
            email,
            free(write, username).await?,
            in_field("minimum_age", declared_age(self.minimum_age)),
            NewPassword::check(write, "password", &self.password, names).await?,
        ))?;
        let of_address = Bucket::of(write, Rule::SignUpWithAddress, &[&email_digest(write, &email).digest]);
        let of_client = Bucket::of_client(write, Rule::SignUpFromClient, self.origin.client.as_ref());
        let counted = throttle::count(write, of_client.into_iter().chain([of_address]).collect(), None).await?;
        // Hashed before anything is known about the address, so that the dear part of the work is the same for both.
        let phc = match password.hash(write).await {
            Ok(phc) => phc,
            Err(error) => {
                counted.take_back(write, false).await?;
                return Err(error);
            }
        };
        let account = AccountId(write.fresh_id());
        let address_claimed = match account_claims::claim(write, context, account, &email, &username).await? {
            Claims::Ours { address_claimed } => address_claimed,
            Claims::UsernameTaken => {
                counted.take_back(write, false).await?;
                return Err(username_taken().into());
            }
        };
        passwords::set(&write.pool, account, &phc, write.now()).await?;
        write.vault.store().create(account).await.map_err(|error| CommandError::Internal(error.to_string()))?;
        let command = |_| AccountCommand::Open {
            email: email.clone(),
            username: username.clone(),
            minimum_age,
            address_claimed,
            vouched_by: None,
        };
        let executed = write.path.execute::<Account>(&account_target(account), context, None, command).await;
        executed.map_err(|error| error.map(Refusal::from))?;
        claims::settle(&write.pool, account).await?;
        Ok(())
    }
}

/// A username that can be had, as far as a look at it says: names are public, so whoever looks for a free one is told at once, and is not
/// slowed down.
pub(super) async fn free(
    write: &WriteSide,
    username: Result<Username, Refusal>,
) -> Result<Result<Username, Refusal>, UseCaseError> {
    let Ok(username) = username else { return Ok(username) };
    Ok(if is_free(write, &username, None).await? { Ok(username) } else { Err(username_taken()) })
}
