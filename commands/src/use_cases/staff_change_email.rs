//! `staffChangeEmail`: another address, because its owner cannot reach the old one (A12, A13). It is unverified until its owner proves it;
//! both addresses are told; every session ends (`EMAIL_CHANGE_ENDS_SESSIONS`), and so do links that were mailed to the old one.
//!
//! In order, under the account's lock: the claim of the new address, pending; the event with its record; the new claim settled and the
//! old one given up in one transaction. What happens when the process dies: after the claim, it is given up by the reconciler once the
//! append cannot come any more, and until then the address is nobody else's; after the event, `StaffFollower` asks for the rest, and
//! until then the old address stays claimed. So neither address is ever free while it is the account's.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, StaffCommand, StaffOrder};
use atelier_domain::text::Email;
use atelier_vault::IndexDigest;
use atelier_vault::credential_rows::{claims, mail_tokens};
use chrono::{DateTime, Utc};

use super::account_claims::clear_if_stale;
use super::address_claims;
use super::address_lookup::look_up;
use super::address_proof::{Standing, lock_proof, standing};
use super::rename_claims::DECIDES_WITHIN;
use super::settle_account::{note_address, settle_access};
use super::staff_desk::{Desk, reasoned, state};
use super::staff_orders::append;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::held_locks::HeldLock;
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, in_field, together};
use crate::write_side::WriteSide;

/// How often a stale claim is cleared away before the change gives up.
const ATTEMPTS: usize = 3;

/// Gives an account another address.
#[derive(Clone)]
pub struct StaffChangeEmail {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: Named<AccountId>,
    /// The new address.
    pub email: String,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffChangeEmail {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`; `not_possible_now` for an address that is taken, or is the account's.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let (account, email, reason) =
            together((self.account, in_field("email", Email::parse(&self.email)), reasoned(&self.reason)))?;
        let (_, order) = self.desk.opens(write, account, reason).await?;
        let lock = HeldLock::take(write.locks.accounts(), claims::lock_address(&write.pool, account)).await?;
        let done = change(write, context, account, &email, &order).await;
        lock.give_back().await?;
        done
    }
}

async fn change(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    email: &Email,
    order: &StaffOrder,
) -> Result<Position, UseCaseError> {
    address_claims::end_leftovers(write, account).await?;
    let index = look_up(write, email.as_ref()).await?.index;
    if address_claims::current(write, account, &state(write, account).await?).await? == Some(index) {
        return Err(refused(RefusalCode::NotPossibleNow, "This is the account's address already."));
    }
    let claimed_at = claim(write, context, account, &index).await?;
    // Decided too late, perhaps after a pause of the whole process, the address may be somebody else's by now: nothing is done.
    let command =
        |now| StaffCommand::ChangeEmail { email: email.clone(), unchanged: now > claimed_at + DECIDES_WITHIN };
    match append(write, context, account, order, command).await {
        Ok((_, false)) => Err(CommandError::Conflict),
        Ok((position, true)) => {
            void_links(write, account).await?;
            settle_access(write, account).await?;
            note_address(write, account).await?;
            address_claims::end_leftovers(write, account).await?;
            Ok(position)
        }
        Err(CommandError::Refused(refusal)) => {
            claims::give_up(&write.pool, account, &index, claimed_at).await?;
            Err(refusal.into())
        }
        // Perhaps it is in the log: whoever looks next will know.
        Err(error) => Err(error),
    }
}

async fn claim(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    index: &IndexDigest,
) -> Result<DateTime<Utc>, UseCaseError> {
    for _ in 0..ATTEMPTS {
        let claim = claims::claim_pending(&write.pool, account, index, write.now()).await?;
        if claim.account == account {
            return Ok(claim.claimed_at);
        }
        if !gives_way(write, index, claim.account).await? && !clear_if_stale(write, context, index, claim).await? {
            return Err(refused(RefusalCode::NotPossibleNow, "This address belongs to another account."));
        }
    }
    Err(CommandError::Conflict)
}

/// Frees an address whose holder has not proven it: it counts for nothing. Under the address's lock, or a proof would be under way.
async fn gives_way(write: &WriteSide, index: &IndexDigest, holder: AccountId) -> Result<bool, UseCaseError> {
    let lock = lock_proof(write, index).await?;
    let unproven = standing(write, holder, index).await? == Standing::Unproven;
    let free = if unproven { claims::release_address(&write.pool, holder, index).await } else { Ok(false) };
    lock.give_back().await?;
    Ok(free?)
}

fn refused(code: RefusalCode, message: &str) -> UseCaseError {
    Refusal::new(code, message).about("email").into()
}

/// What was mailed to the former address counts no more; the link that proves the new one is mailed after this.
pub(crate) async fn void_links(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    if let Some(at) = loaded.decided_at {
        mail_tokens::void_before(&write.pool, account, at).await?;
    }
    Ok(())
}
