//! Recovery codes: the digest of each, used once however many try at once (sec.T2).

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::RowError;
use crate::SecretDigest;
use crate::transactions::begin;

/// Puts codes in the place of all older ones, in the caller's transaction.
pub(super) async fn put_in_place(
    connection: &mut PgConnection,
    account: AccountId,
    codes: &[SecretDigest],
) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.recovery_codes WHERE account_id = $1")
        .bind(account.0)
        .execute(&mut *connection)
        .await?;
    let digests: Vec<&[u8]> = codes.iter().map(|digest| &digest.as_bytes()[..]).collect();
    sqlx::query("INSERT INTO credentials.recovery_codes (account_id, digest) SELECT $1, unnest($2::bytea[])")
        .bind(account.0)
        .bind(digests)
        .execute(connection)
        .await?;
    Ok(())
}

/// Voids all older codes and puts these in their place, if the account has a proven factor; says whether it has.
///
/// # Errors
/// When the database failed; then the old ones count.
pub async fn renew(pool: &PgPool, account: AccountId, codes: &[SecretDigest]) -> Result<bool, RowError> {
    let mut transaction = begin(pool).await?;
    // The row's lock: two renewals at once leave the codes of one of them, not of both.
    let held: Option<Uuid> = sqlx::query_scalar(
        "SELECT account_id FROM credentials.second_factors WHERE account_id = $1 AND state <> 'pending' FOR UPDATE",
    )
    .bind(account.0)
    .fetch_optional(&mut *transaction)
    .await?;
    if held.is_none() {
        return Ok(false);
    }
    put_in_place(&mut transaction, account, codes).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Uses a code up; of many tries at once exactly one is told so. The row goes once its event is in the log.
///
/// # Errors
/// When the database failed.
pub async fn consume(
    pool: &PgPool,
    account: AccountId,
    digest: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let used = sqlx::query(
        "UPDATE credentials.recovery_codes SET used_at = $3 WHERE account_id = $1 AND digest = $2 AND used_at IS NULL",
    );
    Ok(used.bind(account.0).bind(&digest.as_bytes()[..]).bind(now).execute(pool).await?.rows_affected() == 1)
}

/// How many codes are left.
///
/// # Errors
/// When the database failed.
pub async fn left(pool: &PgPool, account: AccountId) -> Result<i64, RowError> {
    let statement = "SELECT count(*) FROM credentials.recovery_codes WHERE account_id = $1 AND used_at IS NULL";
    Ok(sqlx::query_scalar(statement).bind(account.0).fetch_one(pool).await?)
}

/// Removes an account's used codes up to an instant; their events are in the log. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove_used(pool: &PgPool, account: AccountId, until: DateTime<Utc>) -> Result<(), RowError> {
    let statement = "DELETE FROM credentials.recovery_codes WHERE account_id = $1 AND used_at <= $2";
    sqlx::query(statement).bind(account.0).bind(until).execute(pool).await?;
    Ok(())
}

/// For the reconciler: up to `limit` accounts with codes used before an instant whose events may be missing.
///
/// # Errors
/// When the database failed.
pub async fn used_before(pool: &PgPool, instant: DateTime<Utc>, limit: i64) -> Result<Vec<AccountId>, RowError> {
    let statement = "SELECT DISTINCT account_id FROM credentials.recovery_codes WHERE used_at < $1 LIMIT $2";
    let rows: Vec<Uuid> = sqlx::query_scalar(statement).bind(instant).bind(limit).fetch_all(pool).await?;
    Ok(rows.into_iter().map(AccountId).collect())
}
