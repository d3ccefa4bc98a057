//! Tickets for one upload of an avatar each: kept as digests, few for each account, used up once (A04, sec.U3).

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
use crate::SecretDigest;
use crate::transactions::begin;

/// The most tickets of one account; at the limit the oldest gives way.
pub const MAX_TICKETS: i64 = 5;

/// What a presented ticket is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// An upload for this account; nobody else uploads with it until the instant given.
    Usable(AccountId),
    /// Somebody uploads with it right now.
    InUse,
    /// Nothing: unknown, used up or expired.
    Void,
}

/// Inserts a ticket that counts from now until `expires_at`.
///
/// # Errors
/// When the database failed; then there is none.
pub async fn insert(
    pool: &PgPool,
    digest: &SecretDigest,
    account: AccountId,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), RowError> {
    let mut transaction = begin(pool).await?;
    sqlx::query(
        "INSERT INTO credentials.avatar_tickets (ticket_digest, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(&digest.as_bytes()[..])
    .bind(account.0)
    .bind(now)
    .bind(expires_at)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM credentials.avatar_tickets WHERE ticket_digest IN
         (SELECT ticket_digest FROM credentials.avatar_tickets WHERE account_id = $1
          ORDER BY created_at DESC, ticket_digest OFFSET $2)",
    )
    .bind(account.0)
    .bind(MAX_TICKETS)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Takes a ticket for one upload, until it is put back or the instant has come; of many at once exactly one may.
///
/// # Errors
/// When the database failed.
pub async fn take(
    pool: &PgPool,
    digest: &SecretDigest,
    now: DateTime<Utc>,
    in_use_until: DateTime<Utc>,
) -> Result<Presented, RowError> {
    let taken: Option<Uuid> = sqlx::query_scalar(
        "UPDATE credentials.avatar_tickets SET in_use_until = $3
         WHERE ticket_digest = $1 AND expires_at > $2 AND (in_use_until IS NULL OR in_use_until <= $2)
         RETURNING account_id",
    )
    .bind(&digest.as_bytes()[..])
    .bind(now)
    .bind(in_use_until)
    .fetch_optional(pool)
    .await?;
    if let Some(account) = taken {
        return Ok(Presented::Usable(AccountId(account)));
    }
    let statement =
        "SELECT EXISTS (SELECT FROM credentials.avatar_tickets WHERE ticket_digest = $1 AND expires_at > $2)";
    let known = sqlx::query_scalar(statement).bind(&digest.as_bytes()[..]).bind(now).fetch_one(pool).await?;
    Ok(if known { Presented::InUse } else { Presented::Void })
}

/// Puts a ticket back after an upload that was refused; only the use that ends at this instant.
///
/// # Errors
/// When the database failed; then it counts again once that instant has come.
pub async fn put_back(pool: &PgPool, digest: &SecretDigest, in_use_until: DateTime<Utc>) -> Result<(), RowError> {
    sqlx::query(
        "UPDATE credentials.avatar_tickets SET in_use_until = NULL WHERE ticket_digest = $1 AND in_use_until = $2",
    )
    .bind(&digest.as_bytes()[..])
    .bind(in_use_until)
    .execute(pool)
    .await?;
    Ok(())
}

/// Uses a ticket up. Says whether this did it: of many tries exactly one does.
///
/// # Errors
/// When the database failed.
pub async fn use_up(pool: &PgPool, digest: &SecretDigest) -> Result<bool, RowError> {
    let deleted = sqlx::query("DELETE FROM credentials.avatar_tickets WHERE ticket_digest = $1")
        .bind(&digest.as_bytes()[..])
        .execute(pool)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Removes up to `limit` tickets that no longer count, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.avatar_tickets WHERE ticket_digest IN
         (SELECT ticket_digest FROM credentials.avatar_tickets WHERE expires_at <= $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}
