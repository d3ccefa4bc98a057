//! One-time codes that a frontend redeems after a sign-in elsewhere: two minutes, used once (RFC 6749 4.1.2, sec.O1).
//!
//! A row has no account: what it carries is sealed for the code itself, of which only a digest is stored.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::RowError;
use crate::SecretDigest;

/// How long a code counts: the time a frontend needs to load and redeem it.
pub const LIFE: TimeDelta = TimeDelta::minutes(2);
/// The most codes at once. Each takes a browser that returned from the provider, and those are bounded by client.
const AT_ONCE: i64 = 50_000;

/// Keeps a code with what it carries; false when there are too many.
///
/// # Errors
/// When the database failed.
pub async fn insert(pool: &PgPool, digest: &SecretDigest, carried: &str, now: DateTime<Utc>) -> Result<bool, RowError> {
    let inserted = sqlx::query(
        "INSERT INTO credentials.sign_in_codes (digest, carried, expires_at) SELECT $1, $2, $3
         WHERE (SELECT count(*) FROM (SELECT FROM credentials.sign_in_codes LIMIT $4) AS codes) < $4",
    )
    .bind(&digest.as_bytes()[..])
    .bind(carried)
    .bind(now + LIFE)
    .bind(AT_ONCE)
    .execute(pool)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Uses a code up and returns what it carries, sealed; of many at once exactly one gets it. None when it is unknown, used or expired.
///
/// # Errors
/// When the database failed.
pub async fn consume(pool: &PgPool, digest: &SecretDigest, now: DateTime<Utc>) -> Result<Option<String>, RowError> {
    let statement = "DELETE FROM credentials.sign_in_codes WHERE digest = $1 AND expires_at > $2 RETURNING carried";
    Ok(sqlx::query_scalar(statement).bind(&digest.as_bytes()[..]).bind(now).fetch_optional(pool).await?)
}

/// Removes up to `limit` expired codes, and returns how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.sign_in_codes WHERE digest IN
         (SELECT digest FROM credentials.sign_in_codes WHERE expires_at < $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}
