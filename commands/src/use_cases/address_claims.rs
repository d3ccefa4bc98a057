//! The claim of another address: how it ends, whoever ends it (A13, DESIGN 4, Uniqueness).
//!
//! Whoever changes an account's address, or ends what a dead process left of such a change, holds the account's lock meanwhile. The
//! log says which address an account has: its claim is settled and the former one given up in one transaction, never before the event.
//! A pending claim that is not the account's address goes once its append cannot come any more, by the rule of `rename_claims`.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, Status};
use atelier_vault::credential_rows::RowError;
use atelier_vault::credential_rows::claims::{self, PendingName};
use atelier_vault::{IndexDigest, IndexKind, Opened};

use super::address_lookup::look_up;
use super::rename_claims::{LEFTOVERS, MOVED_AFTER};
use crate::held_locks::HeldLock;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// The digest of the address that an account has by the log; `None` when it has none, or its key is gone.
pub(crate) async fn current(
    write: &WriteSide,
    account: AccountId,
    state: &Account,
) -> Result<Option<IndexDigest>, UseCaseError> {
    let Some(sealed) = state.email() else { return Ok(None) };
    let Opened::Text(address) = write.vault.open(account, "email", sealed).await? else { return Ok(None) };
    Ok(Some(look_up(write, &address).await?.index))
}

/// Ends a pending claim, if its end is known: `Some(true)` settled, `Some(false)` given up, `None` not known yet.
pub(crate) async fn end(write: &WriteSide, pending: &PendingName) -> Result<Option<bool>, UseCaseError> {
    let lock = HeldLock::take(write.locks.accounts(), claims::lock_address(&write.pool, pending.account)).await?;
    let ended = end_locked(write, pending).await;
    lock.give_back().await?;
    ended
}

/// The same for a caller that has a lock already, so that it must not wait: while the account's is held, nothing is known.
pub(super) async fn end_if_free(write: &WriteSide, pending: &PendingName) -> Result<Option<bool>, UseCaseError> {
    let Some(lock) = claims::try_lock_address(&write.pool, pending.account).await? else { return Ok(None) };
    let ended = end_locked(write, pending).await;
    lock.rollback().await.map_err(RowError::from)?;
    ended
}

async fn end_locked(write: &WriteSide, pending: &PendingName) -> Result<Option<bool>, UseCaseError> {
    let PendingName { index, account, claimed_at } = pending;
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    if current(write, *account, &loaded.state).await?.as_ref() == Some(index) {
        claims::complete_address(&write.pool, *account, index).await?;
        return Ok(Some(true));
    }
    let moved = loaded.decided_at.is_some_and(|last| last > *claimed_at + MOVED_AFTER);
    if moved || loaded.state.status() != Status::Open {
        claims::give_up(&write.pool, *account, index, *claimed_at).await?;
        return Ok(Some(false));
    }
    Ok(None)
}

/// Ends what changes of an account's address have left, as far as it can be ended; the caller holds the lock.
pub(super) async fn end_leftovers(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    let left = claims::pending_before(&write.pool, IndexKind::Email, Some(account), write.now(), LEFTOVERS).await?;
    for pending in left {
        end_locked(write, &pending).await?;
    }
    Ok(())
}
