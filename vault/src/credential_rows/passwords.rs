//! Password hashes: one PHC string for each account, never in an event (REQUIREMENTS 4.2.2).

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::RowError;

/// Stores an account's PHC string in place of any older one.
///
/// # Errors
/// When the database failed.
pub async fn set(pool: &PgPool, account: AccountId, phc: &str, now: DateTime<Utc>) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.passwords (account_id, phc, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (account_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at",
    )
    .bind(account.0)
    .bind(phc)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(())
}

/// An account's PHC string, if it has a password.
///
/// # Errors
/// When the database failed.
pub async fn get(pool: &PgPool, account: AccountId) -> Result<Option<String>, RowError> {
    let statement = "SELECT phc FROM credentials.passwords WHERE account_id = $1";
    Ok(sqlx::query_scalar(statement).bind(account.0).fetch_optional(pool).await?)
}

/// Removes an account's password. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn delete(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.passwords WHERE account_id = $1").bind(account.0).execute(pool).await?;
    Ok(())
}
