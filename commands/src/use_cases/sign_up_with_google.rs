//! `signUpWithGoogle`: an account opened by an identity elsewhere: no password row, and a verified address if Google vouches for it
//! (A16, U26, U30).
//!
//! An address that Google vouches for is proven: other sign-ups with it end, as they do by a link (`address_proof`). One that it does not
//! vouch for is a sign-up's like any other.
//!
//! What happens when the process dies: after the claim, the keys, the pending identity or the
//! address's claim, the claims go stale and are cleared by who wants them next, and the reconciler removes the identity; other sign-ups
//! with the address may have ended; after the event, the account is open, the reconciler makes the identity count, the claims are settled
//! by who meets them, and its owner signs in with it. An address nobody vouched for gets its mail from `resendVerification` then.

use atelier_domain::account::{Account, AccountCommand, IdentityProvider, NewIdentity};
use atelier_domain::policy::account::declared_age;
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, IdentityId};
use atelier_vault::IndexDigest;
use atelier_vault::credential_rows::{claims, identities};

use super::account_claims::{self, SignUpClaim, email_digest, give_up, username_taken};
use super::address_lookup::look_up;
use super::address_proof::{self, lock_proof};
use super::complete_sign_in::{Entrance, enter};
use super::link_identity::{claim, label};
use super::open_session::{OpenSession, Proof};
use super::sign_in_elsewhere::Ticket;
use super::sign_up::free;
use crate::command_path::{CommandContext, CommandError};
use crate::origin::Origin;
use crate::process::{Work, enqueue};
use crate::refusal::{Refusal, RefusalCode, UseCaseError, in_field, refused, together};
use crate::write_side::{WriteSide, account_target};

/// Opens an account with the ticket of a return from Google.
#[derive(Clone)]
pub struct SignUpWithGoogle {
    /// The ticket.
    pub ticket: String,
    /// The handle of the public profile.
    pub username: String,
    /// The age the person declares to have reached (U42).
    pub minimum_age: i32,
    /// From where.
    pub origin: Origin,
}

impl SignUpWithGoogle {
    /// Runs the use case: a session of the new account.
    ///
    /// # Errors
    /// `invalid_field` naming the field; `username_taken`; `invalid_token` for a ticket that is not valid any more;
    /// `not_possible_now` when the identity, or an address that Google vouches for, has become somebody's.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Entrance, UseCaseError> {
        let ((ticket, digest), username, minimum_age) = together((
            refused(Ticket::open(write, &self.ticket))?.map_err(|refusal| refusal.about("ticket")),
            free(write, in_field("username", Username::parse(&self.username))).await?,
            in_field("minimum_age", declared_age(self.minimum_age)),
        ))?;
        let email = in_field("ticket", Email::parse(&ticket.email))?;
        if identities::find(&write.pool, IdentityProvider::Google, &digest).await?.is_some() {
            return Err(taken("This Google account has an account here; sign in with it."));
        }
        let account = AccountId(write.fresh_id());
        let (named, address) = (email_digest(write, &email), look_up(write, email.as_ref()).await?.index);
        if ticket.verified && address_proof::proven_by(write, &address).await?.is_some() {
            return Err(link_first());
        }
        let claimed = SignUpClaim { account, username: &username, address: &named, token: None };
        if !account_claims::claim(write, context, claimed).await? {
            return Err(username_taken().into());
        }
        write.vault.store().create(account).await.map_err(|error| CommandError::Internal(error.to_string()))?;
        let label = label(Some(&ticket.email));
        let identity_id = match claim(write, account, digest, &label).await {
            Ok(identity) => identity,
            Err(error) => {
                give_up(write, account).await?;
                return Err(error);
            }
        };
        let provider = IdentityProvider::Google;
        let identity = NewIdentity { identity_id, provider, label, vouches_for_address: ticket.verified };
        let open = AccountCommand::Open { email, username, minimum_age, vouched_by: Some(identity) };
        if ticket.verified {
            let lock = lock_proof(write, &address).await?;
            let opened = open_proven(write, context, account, &address, &open).await;
            lock.give_back().await?;
            if let Err(error) = opened {
                if matches!(error, CommandError::Refused(_)) {
                    identities::remove(&write.pool, identity_id).await?;
                    give_up(write, account).await?;
                    return Err(link_first());
                }
                return Err(error);
            }
        } else {
            opened(write, context, account, &open).await?;
            claims::settle(&write.pool, account).await?;
            // As any sign-up: whether the address was known, only its own mailbox tells (sec.S4).
            let work = Work::SendVerificationMail { account };
            enqueue(&write.pool, &format!("signUpWithGoogle:{account}:0"), &work).await?;
        }
        self.enter(write, context, account, identity_id).await
    }

    async fn enter(
        self,
        write: &WriteSide,
        context: &CommandContext,
        account: AccountId,
        identity: IdentityId,
    ) -> Result<Entrance, UseCaseError> {
        identities::activate(&write.pool, identity).await?;
        enter(OpenSession { account, proof: Proof::Identity, origin: self.origin }, write, context).await
    }
}

/// Opens an account whose address is proven elsewhere. Under the address's lock.
async fn open_proven(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    address: &IndexDigest,
    open: &AccountCommand,
) -> Result<(), UseCaseError> {
    address_proof::take(write, context, account, address).await?;
    opened(write, context, account, open).await?;
    address_proof::settle(write, account).await
}

async fn opened(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    open: &AccountCommand,
) -> Result<(), UseCaseError> {
    let executed = write.path.execute::<Account>(&account_target(account), context, None, |_| open.clone()).await;
    executed.map_err(|error| error.map(Refusal::from)).map(drop)
}

fn link_first() -> UseCaseError {
    taken("Sign in to your account, then link Google in its settings.")
}

fn taken(message: &str) -> UseCaseError {
    Refusal::new(RefusalCode::NotPossibleNow, message).into()
}
