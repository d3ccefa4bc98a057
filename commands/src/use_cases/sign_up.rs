//! `signUp`: email, password, username. Nothing tells whether the address was known, neither the answer nor the work nor what others
//! see (sec.S4): nothing here looks at who has it. Any number of sign-ups may name one address; each has its username, its link, and a
//! token for the client that began it, and none signs in before it has proven the address (`verify_email`). Where the address is an
//! account's already, the mail says so.
//!
//! What happens when the process dies: after the claim or the password, the claim goes stale and is cleared by who
//! wants the name next, with the rest; after the keys, likewise; after the event, the account is open, `Welcome` sends the
//! mail, and the claim is settled by who meets it.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::policy::account::declared_age;
use atelier_domain::text::{Email, Username};
use atelier_vault::credential_rows::{claims, passwords};
use atelier_vault::{OwnNames, Passing, PassingToken};

use super::account_claims::{SignUpClaim, claim, username_taken};
use super::address_lookup::look_up;
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
    /// Runs the use case; the answer is what the client keeps, to prove the address with the mail's link. It is of the same form whether or
    /// not the address was new, and has no position, which would tell.
    ///
    /// # Errors
    /// `invalid_field` naming the field; `username_taken`; `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<PassingToken, UseCaseError> {
        let write = &write.hashing_for(self.origin.share());
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
        let of_client = Bucket::of_client(write, Rule::SignUpFromClient, self.origin.client.as_ref());
        let counted = throttle::count(write, of_client.into_iter().collect(), None).await?;
        let phc = match password.hash(write).await {
            Ok(phc) => phc,
            Err(error) => {
                counted.take_back(write, false).await?;
                return Err(error);
            }
        };
        let account = AccountId(write.fresh_id());
        let token = PassingToken::generate(Passing::SignUp, write.ports.random.as_ref());
        let (address, digest) = (look_up(write, email.as_ref()).await?.index, write.secrets.passing(&token));
        let claimed = SignUpClaim { account, username: &username, address: &address, token: Some(&digest) };
        if !claim(write, context, claimed).await? {
            counted.take_back(write, false).await?;
            return Err(username_taken().into());
        }
        passwords::set(&write.pool, account, &phc, write.now()).await?;
        write.vault.store().create(account).await.map_err(|error| CommandError::Internal(error.to_string()))?;
        let command = |_| AccountCommand::Open {
            email: email.clone(),
            username: username.clone(),
            minimum_age,
            vouched_by: None,
        };
        let executed = write.path.execute::<Account>(&account_target(account), context, None, command).await;
        executed.map_err(|error| error.map(Refusal::from))?;
        claims::settle(&write.pool, account).await?;
        Ok(token)
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
