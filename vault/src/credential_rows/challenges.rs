//! Sign-ins that wait for the second factor: a short life, a few tries, used once (sec.T3).

use atelier_domain::AccountId;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
use crate::SecretDigest;

/// How long a challenge counts.
const LIFE: TimeDelta = TimeDelta::minutes(10);
/// Codes that may be tried against one.
const TRIES: i16 = 5;
/// Challenges of one account at once; the oldest gives way.
const FOR_EACH_ACCOUNT: i64 = 5;

/// What was proven before the challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenged {
    /// Whose sign-in it is.
    pub account: AccountId,
    /// The version of the password that was right; none when an identity elsewhere was.
    pub password_version: Option<i64>,
}

/// Inserts a challenge, and says until when it counts.
///
/// # Errors
/// When the database failed.
pub async fn insert(
    pool: &PgPool,
    digest: &SecretDigest,
    challenged: Challenged,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, RowError> {
    let expires_at = now + LIFE;
    sqlx::query(
        "INSERT INTO credentials.sign_in_challenges (digest, account_id, password_version, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&digest.as_bytes()[..])
    .bind(challenged.account.0)
    .bind(challenged.password_version)
    .bind(now)
    .bind(expires_at)
    .execute(pool)
    .await?;
    sqlx::query(
        "DELETE FROM credentials.sign_in_challenges WHERE digest IN
           (SELECT digest FROM credentials.sign_in_challenges WHERE account_id = $1
            ORDER BY created_at DESC, digest OFFSET $2)",
    )
    .bind(challenged.account.0)
    .bind(FOR_EACH_ACCOUNT)
    .execute(pool)
    .await?;
    Ok(expires_at)
}

/// Counts a try against a challenge and says what came before it; none when it is unknown, expired or tried too often.
///
/// # Errors
/// When the database failed.
pub async fn take_try(
    pool: &PgPool,
    digest: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<Option<Challenged>, RowError> {
    let row: Option<(Uuid, Option<i64>)> = sqlx::query_as(
        "UPDATE credentials.sign_in_challenges SET tries = tries + 1
         WHERE digest = $1 AND expires_at > $2 AND tries < $3 RETURNING account_id, password_version",
    )
    .bind(&digest.as_bytes()[..])
    .bind(now)
    .bind(TRIES)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(account, password_version)| Challenged { account: AccountId(account), password_version }))
}

/// Uses a challenge up; of many at once exactly one is told so.
///
/// # Errors
/// When the database failed.
pub async fn consume(pool: &PgPool, digest: &SecretDigest) -> Result<bool, RowError> {
    let statement = "DELETE FROM credentials.sign_in_challenges WHERE digest = $1";
    Ok(sqlx::query(statement).bind(&digest.as_bytes()[..]).execute(pool).await?.rows_affected() == 1)
}

/// Removes up to `limit` challenges that no longer count, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.sign_in_challenges WHERE digest IN
         (SELECT digest FROM credentials.sign_in_challenges WHERE expires_at < $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}
