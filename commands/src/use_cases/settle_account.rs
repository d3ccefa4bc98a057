//! After an order of staff: the rows beside an account's events become what its log says. The effect is in the log before this, with
//! its reason; whoever gave the order is answered after it.
//!
//! What happens when the process dies: before the append, nothing; after it, `StaffFollower` asks for the same as a piece of work, so
//! until then a session or key that staff ended may still be let in, for the moment that the work takes, and nobody was told otherwise.
//! Each step reads the rows first and the log after them, so a row that counts rightly is never taken for one that does not.

use std::collections::BTreeSet;

use atelier_domain::AccountId;
use atelier_domain::account::{Account, Status};
use atelier_vault::IndexKind;
use atelier_vault::credential_rows::{api_keys, claims, sessions, staff_roles, unproven_addresses};

use super::address_claims;
use super::rename_claims::LEFTOVERS;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// Makes the rows of sessions, keys, roles and the address what the log says. Again is harmless.
///
/// # Errors
/// When the log or the rows cannot be read or written.
pub(crate) async fn settle(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    settle_access(write, account).await?;
    note_address(write, account).await?;
    let pending = claims::pending_before(&write.pool, IndexKind::Email, Some(account), write.now(), LEFTOVERS).await?;
    for address in pending {
        address_claims::end(write, &address).await?;
    }
    Ok(())
}

/// Notes an address that staff gave and nobody has proven yet, for its link.
pub(super) async fn note_address(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    if loaded.state.status() == Status::Open
        && !loaded.state.email_verified()
        && let Some(address) = address_claims::current(write, account, &loaded.state).await?
    {
        unproven_addresses::note(&write.pool, account, &address, None, write.now()).await?;
    }
    Ok(())
}

/// The same but for the address, whose change takes a lock.
pub(super) async fn settle_access(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    let listed = sessions::active_of(&write.pool, account).await?;
    let keys = api_keys::active_of(&write.pool, account).await?;
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    let state = &loaded.state;
    for session in listed.into_iter().filter(|session| !state.has_session(session)) {
        sessions::revoke(&write.pool, account, session).await?;
    }
    for key in keys.into_iter().filter(|key| !state.has_api_key(key)) {
        api_keys::revoke(&write.pool, account, key).await?;
    }
    let none = BTreeSet::new();
    let roles = if state.status() == Status::Open { state.roles() } else { &none };
    Ok(staff_roles::put(&write.pool, account, roles, loaded.sequence).await?)
}
