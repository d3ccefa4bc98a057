//! `changeUsername`: another handle, once in 30 days; the old one finds the account for 90 days more (U27-U29).
//!
//! What happens when the process dies: after the claim, or between claim and event, the name stays taken until the account's stream
//! shows that the rename cannot come any more (`rename_claims`), and the reconciler frees it; the same account may try again at once.
//! After the event, before the old name is released, both names find the account, and the reconciler settles them.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::policy::account::RENAME_REDIRECT;
use atelier_domain::text::Username;
use atelier_vault::credential_rows::claims::{self, ClaimState, PendingName};
use chrono::{DateTime, Utc};

use super::account_claims::{clear_if_stale, username_digest, username_taken};
use super::rename_claims;
use crate::command_path::{CommandContext, CommandError, Executed};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError, in_field};
use crate::write_side::{WriteSide, account_target};

/// How often a stale claim is cleared away before the rename gives up.
const ATTEMPTS: usize = 3;

/// When an account may change its handle again; none when it may now.
///
/// # Errors
/// When the log cannot be read.
pub async fn changeable_at(write: &WriteSide, account: AccountId) -> Result<Option<DateTime<Utc>>, UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    Ok(loaded.state.username_changeable_at().filter(|at| write.now() < *at))
}

/// Gives an account another handle.
#[derive(Clone)]
pub struct ChangeUsername {
    /// Whose.
    pub account: AccountId,
    /// The new handle.
    pub username: String,
}

impl ChangeUsername {
    /// Runs the use case; the answer is the position to read from. The handle it has already changes nothing.
    ///
    /// # Errors
    /// `invalid_field`, `username_taken`, `not_possible_now` within 30 days of the last change.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let username = in_field("username", Username::parse(&self.username))?;
        let loaded = write.path.load::<Account>(&self.account.to_string()).await;
        let loaded = loaded.map_err(|error| error.map(Refusal::from))?;
        if rename_claims::current(write, self.account).await?.as_ref() == Some(&username) {
            return Ok(loaded.position);
        }
        rename_claims::end_leftovers(write, self.account).await?;
        let pending = self.claim(write, context, &username).await?;
        let renamed = self.append(write, context, &username, &pending).await;
        match &renamed {
            Ok(_) => {
                let until = write.now() + RENAME_REDIRECT;
                if let Err(error) = claims::complete_rename(&write.pool, self.account, &pending.index, until).await {
                    // The name is theirs all the same; the reconciler settles it.
                    tracing::warn!(%error, "a rename is not settled yet");
                }
            }
            // A twin of this request may have been faster: the log knows whose refusal this is.
            Err(CommandError::Refused(_)) => {
                let name = rename_claims::current(write, self.account).await?;
                if name.is_none_or(|name| username_digest(write, &name) != pending.index) {
                    claims::give_up(&write.pool, self.account, &pending.index, pending.claimed_at).await?;
                }
            }
            // Perhaps it is in the log: the reconciler will know.
            Err(_) => {}
        }
        renamed
    }

    async fn claim(
        &self,
        write: &WriteSide,
        context: &CommandContext,
        username: &Username,
    ) -> Result<PendingName, UseCaseError> {
        let index = username_digest(write, username);
        for _ in 0..ATTEMPTS {
            let claim = claims::claim_pending(&write.pool, self.account, &index, write.now()).await?;
            if claim.account == self.account {
                let pending = PendingName { index, account: self.account, claimed_at: claim.claimed_at };
                // Looked for after the claim: an erasure gives its names up only once they are under quarantine.
                if claim.state == ClaimState::Pending
                    && write.quarantine.holds(&write.pool, &index, write.now()).await?
                {
                    claims::give_up(&write.pool, self.account, &index, claim.claimed_at).await?;
                    return Err(username_taken().into());
                }
                return Ok(pending);
            }
            if !clear_if_stale(write, context, &index, claim).await? {
                return Err(username_taken().into());
            }
        }
        Err(CommandError::Conflict)
    }

    async fn append(
        &self,
        write: &WriteSide,
        context: &CommandContext,
        username: &Username,
        pending: &PendingName,
    ) -> Result<Position, UseCaseError> {
        let command = |now| AccountCommand::ChangeUsername {
            username: username.clone(),
            // Decided too late, perhaps after a pause of the whole process, the name may be somebody else's by now: nothing is done.
            unchanged: now > pending.claimed_at + rename_claims::DECIDES_WITHIN,
            now,
        };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        match executed {
            Ok(Executed::Done { events, .. }) if events.is_empty() => Err(CommandError::Conflict),
            Ok(executed) => Ok(executed.position()),
            Err(error) => Err(error.map(|refused| Refusal::from(refused).about("username"))),
        }
    }
}
