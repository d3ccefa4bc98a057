//! Which mailboxes had their sign-up bonus: keyed digests that outlive their accounts and name none (U19).
//!
//! A mark is taken before the grant, in the name of the grant, so that a repeat after a crash finds its own; after the grant nothing is left
//! that says whose it was.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::RowError;
use crate::{BonusMark, GrantDigest};

/// Takes a mailbox's mark for a grant; of many at once exactly one. Says whether the grant may be made: the mark was free, or this grant has
/// it already. A mark whose time is over is free.
///
/// # Errors
/// When the database failed.
pub async fn take(pool: &PgPool, mark: &BonusMark, grant: &GrantDigest, now: DateTime<Utc>) -> Result<bool, RowError> {
    sqlx::query(
        "INSERT INTO credentials.bonus_marks AS m (key_version, digest, holder) VALUES ($1, $2, $3)
         ON CONFLICT (key_version, digest) DO UPDATE SET holder = excluded.holder, ends_at = NULL WHERE m.ends_at <= $4",
    )
    .bind(mark.key_version)
    .bind(&mark.digest[..])
    .bind(&grant.0[..])
    .bind(now)
    .execute(pool)
    .await?;
    let statement =
        "SELECT EXISTS (SELECT FROM credentials.bonus_marks WHERE key_version = $1 AND digest = $2 AND holder = $3)";
    let ours = sqlx::query_scalar(statement).bind(mark.key_version).bind(&mark.digest[..]).bind(&grant.0[..]);
    Ok(ours.fetch_one(pool).await?)
}

/// After the grant: the mark stays and is nobody's. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn granted(pool: &PgPool, mark: &BonusMark, grant: &GrantDigest) -> Result<(), RowError> {
    let statement =
        "UPDATE credentials.bonus_marks SET holder = NULL WHERE key_version = $1 AND digest = $2 AND holder = $3";
    sqlx::query(statement).bind(mark.key_version).bind(&mark.digest[..]).bind(&grant.0[..]).execute(pool).await?;
    Ok(())
}

/// Marks a mailbox until an instant, whether it was marked or not: its account is going. A mark that ends later already stays. Again is
/// harmless.
///
/// # Errors
/// When the database failed.
pub async fn outlive(pool: &PgPool, mark: &BonusMark, until: DateTime<Utc>) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.bonus_marks AS m (key_version, digest, ends_at) VALUES ($1, $2, $3)
         ON CONFLICT (key_version, digest) DO UPDATE SET holder = NULL, ends_at = greatest(m.ends_at, excluded.ends_at)",
    )
    .bind(mark.key_version)
    .bind(&mark.digest[..])
    .bind(until)
    .execute(pool)
    .await?;
    Ok(())
}

/// Removes up to `limit` marks whose time is over; how many.
///
/// # Errors
/// When the database failed; the next round goes on.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.bonus_marks WHERE ends_at <= $1 AND (key_version, digest) IN
         (SELECT key_version, digest FROM credentials.bonus_marks WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}
