//! `signUp`: email, password, username. Nothing tells whether the address was known, neither the answer nor the work nor what others
//! see (sec.S4): with a taken address an account opens all the same, which has its username, can never be verified, and signs in to
//! nothing; its mail says that there is an account already.
//!
//! What happens when the process dies: after the claims or the password row, the claims go stale and are cleared by whoever
//! wants them next; after the keys, likewise; after the event, the account is open, `Welcome` sends the mail, and whoever meets the
//! claims settles them.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_domain::policy::account::MINIMUM_AGE;
use atelier_domain::text::{Email, Username};
use atelier_vault::credential_rows::{claims, passwords};
use atelier_vault::{IndexKind, OwnNames};

use super::account_claims::{self, Claims, email_digest, username_taken};
use super::password_changes::hash_new;
use crate::command_path::{CommandContext, CommandError};
use crate::origin::Origin;
use crate::refusal::{Refusal, UseCaseError, in_field};
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
        let email = in_field("email", Email::parse(&self.email))?;
        let username = in_field("username", Username::parse(&self.username))?;
        let minimum_age = u8::try_from(self.minimum_age.clamp(0, 255)).unwrap_or(0);
        if minimum_age < MINIMUM_AGE {
            return Err(Refusal::from(AccountError::TooYoung(MINIMUM_AGE)).into());
        }
        // Names are public: whoever looks for a free one is told at once, and is not slowed down.
        let by_username = write.blind_index.digest(IndexKind::Username, username.as_ref());
        if claims::find(&write.pool, &by_username)
            .await?
            .is_some_and(|claim| claim.settled && !claim.is_free(write.now()))
        {
            return Err(username_taken());
        }
        let of_address = Bucket::of(write, Rule::SignUpWithAddress, &[&email_digest(write, &email).digest]);
        let of_client = Bucket::of_client(write, Rule::SignUpFromClient, self.origin.client.as_ref());
        let counted = throttle::count(write, of_client.into_iter().chain([of_address]).collect(), None).await?;
        // Hashed before anything is known about the address, so that the dear part of the work is the same for both.
        let names = OwnNames { clear: vec![email.folded(), username.as_ref().to_owned()], username: None };
        let phc = match hash_new(write, "password", &self.password, names).await {
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
                return Err(username_taken());
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
