//! Tries, counted by keyed digests of who or what is tried, so that guessing and mailing slow down (U35, sec.R5).

use std::time::Duration;

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::RowError;
use crate::SecretDigest;

/// How a bucket slows down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// So many tries cost nothing.
    pub free: i32,
    /// After so long without a try, one is forgiven.
    pub forgive: Duration,
    /// What the first try beyond the free ones makes the next one wait; each further one doubles it.
    pub pause: Duration,
    /// The longest wait.
    pub cap: Duration,
}

/// Counts one try in every bucket, or in none: `None` when it was counted, else how long to wait. Many at the same moment are
/// counted one after the other.
///
/// # Errors
/// When the database failed.
pub async fn count(
    pool: &PgPool,
    buckets: &[(SecretDigest, Pace)],
    owner: Option<AccountId>,
    now: DateTime<Utc>,
) -> Result<Option<Duration>, RowError> {
    let mut sorted: Vec<_> = buckets.iter().collect();
    sorted.sort_by_key(|(bucket, _)| *bucket.as_bytes());
    let seconds =
        |of: fn(&Pace) -> Duration| -> Vec<f64> { sorted.iter().map(|(_, pace)| of(pace).as_secs_f64()).collect() };
    let wait: f64 = sqlx::query_scalar("SELECT credentials.count_try($1, $2, $3, $4, $5, $6, $7)")
        .bind(sorted.iter().map(|(bucket, _)| &bucket.as_bytes()[..]).collect::<Vec<_>>())
        .bind(sorted.iter().map(|(_, pace)| pace.free).collect::<Vec<_>>())
        .bind(seconds(|pace| pace.forgive))
        .bind(seconds(|pace| pace.pause))
        .bind(seconds(|pace| pace.cap))
        .bind(owner.map(|account| account.0))
        .bind(now)
        .fetch_one(pool)
        .await?;
    Ok((wait > 0.0).then(|| Duration::from_secs_f64(wait)))
}

/// Takes a try back that turned out to be no guess.
///
/// # Errors
/// When the database failed; the try then stays counted until it is forgiven.
pub async fn take_back(pool: &PgPool, buckets: &[SecretDigest]) -> Result<(), RowError> {
    let statement =
        "UPDATE credentials.tries SET tries = greatest(0, tries - 1), blocked_until = 'epoch' WHERE bucket = ANY($1)";
    let buckets: Vec<&[u8]> = buckets.iter().map(|bucket| &bucket.as_bytes()[..]).collect();
    sqlx::query(statement).bind(buckets).execute(pool).await?;
    Ok(())
}

/// Forgets a bucket whose owner has proven who they are.
///
/// # Errors
/// When the database failed; the tries are then forgiven with time.
pub async fn forget(pool: &PgPool, bucket: &SecretDigest) -> Result<(), RowError> {
    let statement = "DELETE FROM credentials.tries WHERE bucket = $1";
    sqlx::query(statement).bind(&bucket.as_bytes()[..]).execute(pool).await?;
    Ok(())
}

/// Removes up to `limit` buckets whose day is over, and the oldest of those beyond `most` in all; says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, most: i64, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.tries WHERE bucket IN
         (SELECT bucket FROM credentials.tries WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    let expired = sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected();
    let statement = "DELETE FROM credentials.tries WHERE bucket IN
         (SELECT bucket FROM credentials.tries ORDER BY expires_at
          LIMIT greatest(0, least($2, (SELECT count(*) FROM credentials.tries) - $1)))";
    let beyond = sqlx::query(statement).bind(most).bind(limit).execute(pool).await?.rows_affected();
    Ok(expired + beyond)
}
