//! Who has an address: the one account that has proven it. Until then any number of sign-ups may name it, and none of them keeps the others,
//! or the owner of the mailbox, from it (U26, sec.S4).
//!
//! An account that proves its address does, under the address's lock:
//!
//! | step | dies after it: what is left | who goes on |
//! | --- | --- | --- |
//! | ends every other sign-up with the address, in the log | they are being erased; the address is nobody's | the link still counts: its owner presses again |
//! | gives up what they claimed, usernames too | the same | the same; the erasure gives the rest up |
//! | claims the address | a claim of an account that has not proven it, which counts for nothing | the next proof, this account's or another's, takes it over |
//! | appends `EmailVerified` | a claim that is not settled, a link that is not used | signing in works; the link says again that all is well |
//! | settles the claim, forgets that the address was unproven, uses the link up | nothing | |
//!
//! The others end first and in the log: whichever two proofs cross, even without the lock (its connection may break), each has ended the
//! other before it appends its own, so at most one of them is ever appended. An account that had proven an earlier address, whose new
//! one staff gave it, is not ended: it loses the address, and has it unproven until staff give it another. For it the lock alone decides;
//! the price is that two accounts could hold an address that staff were just giving away, if the lock's connection breaks between
//! two steps.

use std::collections::HashSet;

use atelier_domain::account::{Account, AccountCommand, AccountError, Status};
use atelier_domain::{AccountId, Reason};
use atelier_vault::IndexDigest;
use atelier_vault::credential_rows::unproven_addresses::Unproven;
use atelier_vault::credential_rows::{claims, mail_tokens, unproven_addresses};
use futures::future::join_all;

use super::account_claims::{STALE_AFTER, abandon};
use super::address_claims::current;
use crate::command_path::{CommandContext, CommandError};
use crate::erasure;
use crate::held_locks::HeldLock;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Sign-ups that are ended in one round, and at once.
const ROUND: i64 = 500;
const AT_ONCE: usize = 16;

/// Takes the right to prove one address, or to give it away, on any number of nodes.
///
/// # Errors
/// When the database failed.
pub(super) async fn lock_proof<'a>(write: &'a WriteSide, address: &IndexDigest) -> Result<HeldLock<'a>, UseCaseError> {
    HeldLock::take(write.locks.addresses(), unproven_addresses::lock(&write.pool, address)).await
}

/// What an address is to an account that claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Proven.
    Proven,
    /// It was, and the account is being deleted.
    Leaving,
    /// Not proven, or not its address.
    Unproven,
    /// The account is not open: perhaps it opens at this moment.
    NotOpen,
}

/// What an address is to an account, by the log.
pub(super) async fn standing(
    write: &WriteSide,
    account: AccountId,
    address: &IndexDigest,
) -> Result<Standing, UseCaseError> {
    let state = load(write, account).await?;
    Ok(match state.status() {
        Status::New => Standing::NotOpen,
        Status::Abandoned | Status::Erased => Standing::Unproven,
        Status::Deleting if state.was_verified() => Standing::Leaving,
        Status::Deleting => Standing::Unproven,
        Status::Open if state.email_verified() && current(write, account, &state).await?.as_ref() == Some(address) => {
            Standing::Proven
        }
        Status::Open => Standing::Unproven,
    })
}

/// The account that has proven an address, if one has.
pub(crate) async fn proven_by(write: &WriteSide, address: &IndexDigest) -> Result<Option<AccountId>, UseCaseError> {
    let Some(claim) = claims::find(&write.pool, address).await? else { return Ok(None) };
    let proven = standing(write, claim.account, address).await? == Standing::Proven;
    Ok(proven.then_some(claim.account))
}

/// Makes an address an account's that is about to append its proof: the others end, and the claim is its own. Under the address's lock.
///
/// # Errors
/// `not_possible_now` when another account has proven it, or has not given it up yet; the failures of log and rows.
pub(super) async fn take(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    address: &IndexDigest,
) -> Result<(), UseCaseError> {
    let from = holder_that_gives_way(write, context, account, address).await?;
    end_others(write, context, account, address).await?;
    if claims::claim_address(&write.pool, account, address, from, write.now()).await? {
        Ok(())
    } else {
        Err(CommandError::Conflict)
    }
}

/// The holder of a claim that counts for nothing, if there is one.
async fn holder_that_gives_way(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    address: &IndexDigest,
) -> Result<Option<AccountId>, UseCaseError> {
    let Some(claim) = claims::find(&write.pool, address).await?.filter(|claim| claim.account != account) else {
        return Ok(None);
    };
    match standing(write, claim.account, address).await? {
        Standing::Unproven => Ok(Some(claim.account)),
        Standing::Proven => Err(taken()),
        Standing::NotOpen if write.now() - claim.claimed_at >= STALE_AFTER => {
            // When it opened after all, the next look finds it.
            if abandon(write, context, claim.account).await? { Ok(None) } else { Err(CommandError::Conflict) }
        }
        Standing::Leaving | Standing::NotOpen => {
            let message = "This address is not free yet. Try again in a few minutes.";
            Err(Refusal::new(RefusalCode::NotPossibleNow, message).into())
        }
    }
}

pub(super) fn taken() -> UseCaseError {
    let message = "This address belongs to an account already; sign in to it, or ask for a new password.";
    Refusal::coded(RefusalCode::NotPossibleNow, "token", Reason::Taken, message).into()
}

async fn end_others(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    address: &IndexDigest,
) -> Result<(), UseCaseError> {
    let mut kept = HashSet::from([account]);
    loop {
        let listed = unproven_addresses::of(&write.pool, address, None, ROUND).await?;
        let others: Vec<_> = listed.into_iter().filter(|other| !kept.contains(&other.account)).collect();
        if others.is_empty() {
            return Ok(());
        }
        for some in others.chunks(AT_ONCE) {
            for ended in join_all(some.iter().map(|other| end(write, context, *other, address))).await {
                kept.extend(ended?);
            }
        }
    }
}

/// Ends another account's hold on an unproven address; the account, when it is only just signing up and stays as it is.
async fn end(
    write: &WriteSide,
    context: &CommandContext,
    other: Unproven,
    address: &IndexDigest,
) -> Result<Option<AccountId>, UseCaseError> {
    let Unproven { account, since } = other;
    let state = load(write, account).await?;
    match state.status() {
        Status::New if write.now() - since < STALE_AFTER => return Ok(Some(account)),
        Status::New => {
            // Not when it opened at this moment: then it goes with every sign-up that nobody proves.
            return Ok((!abandon(write, context, account).await?).then_some(account));
        }
        Status::Open if state.was_verified() => {
            if standing(write, account, address).await? == Standing::Proven {
                return Err(taken());
            }
            mail_tokens::void_before(&write.pool, account, write.now()).await?;
        }
        Status::Open => match write
            .path
            .execute::<Account>(&account_target(account), context, None, |_| AccountCommand::EndUnproven)
            .await
        {
            Ok(_) => give_up(write, account).await?,
            Err(CommandError::Refused(AccountError::AddressProven)) => return Err(taken()),
            Err(error) => return Err(error.map(Refusal::from)),
        },
        Status::Deleting if !state.was_verified() => give_up(write, account).await?,
        Status::Deleting | Status::Abandoned | Status::Erased => {}
    }
    unproven_addresses::remove(&write.pool, account).await?;
    Ok(None)
}

/// What a sign-up that has ended claimed is free, and nobody gets in by it any more; the rest is its erasure's.
async fn give_up(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    erasure::lock_out(write, account).await?;
    Ok(claims::release(&write.pool, account).await?)
}

/// After the proof is in the log.
pub(super) async fn settle(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    claims::settle(&write.pool, account).await?;
    Ok(unproven_addresses::remove(&write.pool, account).await?)
}

async fn load(write: &WriteSide, account: AccountId) -> Result<Account, UseCaseError> {
    Ok(write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?.state)
}
