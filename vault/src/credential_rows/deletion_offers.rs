//! Offers to confirm a deletion: the digest of a token that its owner was shown (A36).

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::RowError;
use crate::SecretDigest;

/// Offers a confirmation in place of any earlier one.
///
/// # Errors
/// When the database failed.
pub async fn offer(
    pool: &PgPool,
    account: AccountId,
    digest: &SecretDigest,
    expires_at: DateTime<Utc>,
) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.deletion_offers (account_id, token_digest, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (account_id) DO UPDATE SET token_digest = excluded.token_digest, expires_at = excluded.expires_at",
    )
    .bind(account.0)
    .bind(&digest.as_bytes()[..])
    .bind(expires_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether this is the token of the account's own offer, and its time is not over. It is not used up: confirming twice is one deletion.
///
/// # Errors
/// When the database failed.
pub async fn is_offered(
    pool: &PgPool,
    account: AccountId,
    digest: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let statement = "SELECT token_digest FROM credentials.deletion_offers WHERE account_id = $1 AND expires_at > $2";
    let stored: Option<Vec<u8>> = sqlx::query_scalar(statement).bind(account.0).bind(now).fetch_optional(pool).await?;
    Ok(stored.is_some_and(|stored| digest.matches(&stored)))
}

/// Removes up to `limit` offers whose time is over, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.deletion_offers WHERE account_id IN
         (SELECT account_id FROM credentials.deletion_offers WHERE expires_at < $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}
