//! After a backup of the database was restored: the accounts that were erased since are erased again, before anybody is served (E4).
//!
//! Their keys are gone, so nothing of theirs can be read; but their claims, passwords and keys came back with the backup.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_vault::VaultError;
use atelier_vault::credential_rows::{RowError, delete_account};
use uuid::Uuid;

use super::access;
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Accounts looked up in one statement.
const PAGE: usize = 10_000;

/// Compares the erasure journal with the log: what the log does not know to be erased is closed to everybody at once, and its erasure is
/// requested again; the work that follows does the rest. Says how many came back.
///
/// # Errors
/// When the journal, the database or the log failed: then nobody may be served.
pub async fn erase_what_came_back(write: &WriteSide, context: &CommandContext) -> Result<usize, UseCaseError> {
    let shredded = write.vault.store().shredded().await.map_err(VaultError::from)?;
    let mut back = 0;
    for page in shredded.chunks(PAGE) {
        for account in come_back(write, page).await? {
            close(write, context, account).await?;
            back += 1;
        }
    }
    if back > 0 {
        tracing::warn!(accounts = back, "accounts that were erased came back with a backup; they are erased again");
    }
    Ok(back)
}

/// Those of these accounts that the log has opened and not erased.
async fn come_back(write: &WriteSide, shredded: &[AccountId]) -> Result<Vec<AccountId>, RowError> {
    let ids: Vec<Uuid> = shredded.iter().map(|account| account.0).collect();
    let back: Vec<Uuid> = sqlx::query_scalar(
        "select id from unnest($1::uuid[]) as s (id) \
         where exists (select from events e where e.aggregate_type = 'Account' and e.aggregate_id = s.id::text and e.event_type = 'AccountOpened') \
         and not exists (select from events e where e.aggregate_type = 'Account' and e.aggregate_id = s.id::text and e.event_type = 'AccountErased')",
    )
    .bind(ids)
    .fetch_all(&write.pool)
    .await?;
    Ok(back.into_iter().map(AccountId).collect())
}

async fn close(write: &WriteSide, context: &CommandContext, account: AccountId) -> Result<(), UseCaseError> {
    access::revoke(write, account).await?;
    delete_account(&write.pool, account).await?;
    let request = |_| AccountCommand::RequestDeletion;
    match write.path.execute::<Account>(&account_target(account), context, None, request).await {
        Ok(_) | Err(CommandError::Refused(AccountError::NotOpen)) => Ok(()),
        Err(error) => Err(error.map(Refusal::from)),
    }
}
