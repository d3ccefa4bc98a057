//! Claims of addresses: taken when they are proven, or given by staff; part of [`super::claims`].

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::RowError;
use crate::IndexDigest;
use crate::transactions::begin;

/// Claims an address for an account that has just proven it: a free one, its own, or `from`, the claim of an account that has not. Says
/// whether it is the account's now; not when somebody else came first. Under the address's lock (`unproven_addresses::lock`).
///
/// # Errors
/// When the database failed.
pub async fn claim_address(
    pool: &PgPool,
    account: AccountId,
    address: &IndexDigest,
    from: Option<AccountId>,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let holder: Option<Uuid> = sqlx::query_scalar(
        "INSERT INTO credentials.claims AS c (kind, key_version, digest, account_id, claimed_at, state)
         VALUES ($1, $2, $3, $4, $5, 'held')
         ON CONFLICT (kind, key_version, digest) DO UPDATE SET account_id = excluded.account_id, claimed_at = excluded.claimed_at,
           state = 'held', redirects_until = NULL, settled = false
         WHERE c.account_id = excluded.account_id OR c.account_id = $6
         RETURNING account_id",
    )
    .bind(address.kind.as_str())
    .bind(address.key_version)
    .bind(&address.digest[..])
    .bind(account.0)
    .bind(now)
    .bind(from.map(|account| account.0))
    .fetch_optional(pool)
    .await?;
    Ok(holder == Some(account.0))
}

/// Gives up an address that an account holds and has not proven; says whether it held it. A change that is under way keeps its claim.
///
/// # Errors
/// When the database failed.
pub async fn release_address(pool: &PgPool, account: AccountId, address: &IndexDigest) -> Result<bool, RowError> {
    let statement = "DELETE FROM credentials.claims WHERE kind = $1 AND key_version = $2 AND digest = $3
         AND account_id = $4 AND state = 'held'";
    let deleted = sqlx::query(statement)
        .bind(address.kind.as_str())
        .bind(address.key_version)
        .bind(&address.digest[..])
        .bind(account.0)
        .execute(pool)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// The right to change one account's address and its claims, on any number of nodes: it ends with the transaction, or with whoever
/// died in it.
///
/// # Errors
/// When the database failed.
pub async fn lock_address(pool: &PgPool, account: AccountId) -> Result<Transaction<'static, Postgres>, RowError> {
    let mut transaction = begin(pool).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 7029341185502))")
        .bind(account.0.to_string())
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// The same if nobody has it at this moment; `None` when somebody does.
///
/// # Errors
/// When the database failed.
pub async fn try_lock_address(
    pool: &PgPool,
    account: AccountId,
) -> Result<Option<Transaction<'static, Postgres>>, RowError> {
    let mut transaction = begin(pool).await?;
    let taken = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 7029341185502))")
        .bind(account.0.to_string())
        .fetch_one(&mut *transaction)
        .await?;
    if taken {
        return Ok(Some(transaction));
    }
    transaction.rollback().await?;
    Ok(None)
}

/// After the event of another address, under the lock: it is held, and what was held before is free. Late or again it does nothing.
///
/// # Errors
/// When the database failed; then nothing changed.
pub async fn complete_address(pool: &PgPool, account: AccountId, address: &IndexDigest) -> Result<(), RowError> {
    let mut transaction = begin(pool).await?;
    let this = "kind = $1 AND key_version = $2 AND digest = $3";
    let held = format!(
        "UPDATE credentials.claims SET state = 'held', settled = true WHERE {this} AND account_id = $4 AND state = 'pending'"
    );
    let free = format!(
        "DELETE FROM credentials.claims WHERE account_id = $4 AND kind = $1 AND state = 'held' AND NOT ({this})
         AND EXISTS (SELECT FROM credentials.claims WHERE {this} AND account_id = $4 AND state = 'held')"
    );
    for statement in [held, free] {
        sqlx::query(&statement)
            .bind(address.kind.as_str())
            .bind(address.key_version)
            .bind(&address.digest[..])
            .bind(account.0)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
