//! `signUpWithGoogle`: an account opened by an identity elsewhere: no password row, and a verified address if Google vouches for it
//! (A16, U26, U30).
//!
//! What happens when the process dies: after the claims, the keys or the pending identity, the claims go stale and are cleared by
//! whoever wants them next, and the reconciler removes the identity; after the event, the account is open, the reconciler makes the
//! identity count, whoever meets the claims settles them, and its owner signs in with it. An address nobody vouched for gets its mail
//! from `resendVerification` then.

use atelier_domain::account::{Account, AccountCommand, IdentityProvider, NewIdentity};
use atelier_domain::policy::account::declared_age;
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, IdentityId};
use atelier_vault::credential_rows::{claims, identities};

use super::account_claims::{self, Claims, username_taken};
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
        let address_claimed = match account_claims::claim(write, context, account, &email, &username).await? {
            Claims::Ours { address_claimed } => address_claimed,
            Claims::UsernameTaken => {
                return Err(username_taken().into());
            }
        };
        if ticket.verified && !address_claimed {
            claims::release(&write.pool, account).await?;
            return Err(taken("Sign in to your account, then link Google in its settings."));
        }
        write.vault.store().create(account).await.map_err(|error| CommandError::Internal(error.to_string()))?;
        let label = label(Some(&ticket.email));
        let identity_id = match claim(write, account, digest, &label).await {
            Ok(identity) => identity,
            Err(error) => {
                claims::release(&write.pool, account).await?;
                return Err(error);
            }
        };
        let provider = IdentityProvider::Google;
        let identity = NewIdentity { identity_id, provider, label, vouches_for_address: ticket.verified };
        let command = |_| AccountCommand::Open {
            email: email.clone(),
            username: username.clone(),
            minimum_age,
            address_claimed,
            vouched_by: Some(identity.clone()),
        };
        let executed = write.path.execute::<Account>(&account_target(account), context, None, command).await;
        executed.map_err(|error| error.map(Refusal::from))?;
        claims::settle(&write.pool, account).await?;
        if !ticket.verified {
            // As any sign-up: whether the address was known, only its own mailbox tells (sec.S4).
            let work = if address_claimed {
                Work::SendVerificationMail { account }
            } else {
                Work::SendAlreadyRegisteredMail { account }
            };
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

fn taken(message: &str) -> UseCaseError {
    Refusal::new(RefusalCode::NotPossibleNow, message).into()
}
