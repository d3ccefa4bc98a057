//! `verifyEmail`: proves an address (U26). The mail's link shows a mailbox, not who signed up: it takes something of that very sign-up beside
//! it, the token that `signUp` returned, its password, or a session of the account. By the link alone a new password is set, which ends
//! whatever else the sign-up could be entered by; so a stranger who signed up with somebody's address has nothing when its owner follows
//! a link.
//!
//! A link proves the address that it was mailed to, and no other that the account has by then.
//!
//! What happens when the process dies: before the address is claimed, and around the event, see `address_proof`. With a new password, the
//! link is used up in the transaction that moves the password's row: after it, the new password is the account's, its owner asks for
//! another link, and proves the address by that and the password; rows of identities and of a second factor that were taken off count
//! again when the log does not agree, until then.

use atelier_domain::account::{Account, AccountCommand, AccountError, PasswordVia, Status};
use atelier_domain::{AccountId, Reason};
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use atelier_vault::credential_rows::passwords::{self, Ends, Grounds, PasswordChange};
use atelier_vault::credential_rows::second_factor::{self, FactorState};
use atelier_vault::credential_rows::unproven_addresses;
use atelier_vault::{IndexDigest, MailToken, OwnNames, SecretDigest};

use super::address_proof::lock_proof;
use super::password_changes::{NewPassword, own_names, record};
use super::sign_in::overloaded;
use super::{address_claims, address_proof};
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::origin::Origin;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, refused, together};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::{WriteSide, account_target};

/// Proves an address.
#[derive(Clone, Default)]
pub struct VerifyEmail {
    /// The token of the mail's link.
    pub token: String,
    /// The password of the sign-up.
    pub password: Option<String>,
    /// A new password, in place of anything of the sign-up.
    pub new_password: Option<String>,
    /// The account of the caller's session, if there is one.
    pub signed_in: Option<AccountId>,
    /// From where, with what `signUp` returned.
    pub origin: Origin,
}

/// A link that counts.
struct Link {
    digest: SecretDigest,
    account: AccountId,
    state: Account,
    address: IndexDigest,
}

impl VerifyEmail {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_token` when the link is wrong, used or expired, or one of five newer sign-ups took its place; which, is not said.
    /// `sign_up_proof_required` when there is nothing but the link; `invalid_credentials` for a wrong password; `invalid_field` for a new
    /// one; `not_possible_now` when the address belongs to another account; `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let write = &write.hashing_for(self.origin.share());
        let link = refused(self.link(write).await)?;
        let Some(new_password) = &self.new_password else {
            let link = link?;
            if !link.state.email_verified() && !self.is_of_this_sign_up(write, &link).await? {
                return Err(proof_required());
            }
            return prove(write, context, &link, None).await;
        };
        let names = match &link {
            Ok(link) => own_names(write, link.account, &link.state).await?,
            Err(_) => OwnNames::default(),
        };
        let new = NewPassword::check(write, "new_password", new_password, names).await?;
        let (link, new) = together((link, new))?;
        if link.state.email_verified() {
            return Err(not_valid().into());
        }
        let phc = new.hash(write).await?;
        prove(write, context, &link, Some(&phc)).await
    }

    async fn link(&self, write: &WriteSide) -> Result<Link, UseCaseError> {
        let token = MailToken::parse(&self.token).map_err(|_| not_valid())?;
        let digest = write.secrets.mail(&token);
        let held = mail_tokens::peek(&write.pool, &digest, MailPurpose::VerifyEmail, write.now()).await?;
        let held = held.ok_or_else(not_valid)?;
        let account = held.account;
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let state = loaded.state;
        let counts = state.status() == Status::Open && held.was_mailed_to(state.email());
        if !counts || !unproven_addresses::is_among_newest(&write.pool, account, write.now()).await? {
            return Err(not_valid().into());
        }
        let address = address_claims::current(write, account, &state).await?.ok_or_else(not_valid)?;
        Ok(Link { digest, account, state, address })
    }

    /// Whether the caller has something of the sign-up that the link is of.
    async fn is_of_this_sign_up(&self, write: &WriteSide, link: &Link) -> Result<bool, UseCaseError> {
        if self.signed_in == Some(link.account) {
            return Ok(true);
        }
        if let Some(token) = &self.origin.sign_up_token
            && unproven_addresses::has_token(&write.pool, link.account, &write.secrets.passing(token)).await?
        {
            return Ok(true);
        }
        match &self.password {
            Some(password) => self.is_password(write, link, password).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn is_password(&self, write: &WriteSide, link: &Link, password: &str) -> Result<(), UseCaseError> {
        let of_link = Bucket::of(write, Rule::ProofByLink, &[link.digest.as_bytes()]);
        let of_client = Bucket::of_client(write, Rule::SignInFromClient, self.origin.client.as_ref());
        let buckets = [of_link].into_iter().chain(of_client).collect();
        let counted = throttle::count(write, buckets, Some(link.account)).await?;
        let verified = match passwords::get(&write.pool, link.account).await? {
            Some(stored) => write.passwords.verify(password, &stored).await,
            None => Ok(false),
        };
        match verified {
            Ok(true) => counted.take_back(write, true).await,
            Ok(false) => {
                let message = "This is not the password of the sign-up that this link belongs to.";
                Err(Refusal::coded(RefusalCode::InvalidCredentials, "password", Reason::Wrong, message).into())
            }
            Err(error) => {
                counted.take_back(write, false).await?;
                Err(overloaded(error))
            }
        }
    }
}

/// Proves the address of a link, by a new password if there is one, under the address's lock.
async fn prove(
    write: &WriteSide,
    context: &CommandContext,
    link: &Link,
    phc: Option<&str>,
) -> Result<Position, UseCaseError> {
    let lock = lock_proof(write, &link.address).await?;
    let done = prove_locked(write, context, link, phc).await;
    lock.give_back().await?;
    done
}

async fn prove_locked(
    write: &WriteSide,
    context: &CommandContext,
    link: &Link,
    phc: Option<&str>,
) -> Result<Position, UseCaseError> {
    let Link { digest, account, state, address } = link;
    if !state.email_verified() {
        address_proof::take(write, context, *account, address).await?;
    }
    if let Some(phc) = phc {
        begin_afresh(write, context, link, phc).await?;
    }
    // Decided on the address that was looked at: it may change in between.
    let sealed = state.email().cloned();
    let afresh = phc.is_some();
    let verify = |_| match afresh {
        true => AccountCommand::VerifyEmailAfresh { address: sealed.clone() },
        false => AccountCommand::VerifyEmail { address: sealed.clone() },
    };
    let executed = write.path.execute::<Account>(&account_target(*account), context, None, verify).await;
    let position = executed
        .map_err(|error| match error {
            // Another sign-up with the address was proven at this moment.
            CommandError::Refused(AccountError::NotOpen) => not_valid().into(),
            error => error.map(Refusal::from),
        })?
        .position();
    if afresh && !state.was_verified() {
        second_factor::remove(&write.pool, *account, &[FactorState::Off]).await?;
    }
    address_proof::settle(write, *account).await?;
    mail_tokens::consume(&write.pool, digest, MailPurpose::VerifyEmail, write.now()).await?;
    Ok(position)
}

/// The new password is the account's; the sessions, the sign-up's token and, for an account that never was proven, whatever else it could
/// be entered by count no more. The event that ends them follows.
async fn begin_afresh(write: &WriteSide, context: &CommandContext, link: &Link, phc: &str) -> Result<(), UseCaseError> {
    let Link { digest, account, state, .. } = link;
    let via = if state.has_password() { PasswordVia::Reset } else { PasswordVia::Added };
    let change = PasswordChange { id: write.fresh_id(), account: *account, via, keeps: None };
    let ends = Ends { api_keys: true, identities: !state.was_verified() || via == PasswordVia::Reset };
    if !passwords::change(&write.pool, &change, Grounds::Verification(digest), phc, ends, write.now()).await? {
        return Err(not_valid().into());
    }
    if !state.was_verified() {
        second_factor::shift(&write.pool, *account, FactorState::Active, FactorState::Off, write.now()).await?;
    }
    record(write, context, &change).await?;
    Ok(())
}

fn not_valid() -> Refusal {
    let message = "This link is not valid any more; ask for a new one.";
    Refusal::coded(RefusalCode::InvalidToken, "token", Reason::Wrong, message)
}

fn proof_required() -> UseCaseError {
    let message =
        "Use the browser or the app that signed up, enter the password of the sign-up, or set a new password.";
    Refusal::new(RefusalCode::SignUpProofRequired, message).into()
}
