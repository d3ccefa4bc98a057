//! When the mails that anybody can ask for go to an address: one a minute and ten a day, each in its turn (sec.R5).

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::RowError;
use crate::IndexDigest;
use crate::transactions::begin;

/// The least time between two mails to one address.
pub const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// The most mails to one address within [`DAY`].
pub const A_DAY: i64 = 10;
/// The window of [`A_DAY`].
pub const DAY: TimeDelta = TimeDelta::days(1);
/// A mail that could not go for so long does not go at all.
pub const PATIENCE: TimeDelta = TimeDelta::hours(1);

/// The instant at which a mail goes to an address: the first one within [`PATIENCE`] that keeps to both bounds behind all that were given
/// before, and the same one when it is asked for again. `None` when there is none.
///
/// # Errors
/// When the database failed.
pub async fn turn(
    pool: &PgPool,
    mail: &str,
    address: &IndexDigest,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, RowError> {
    let mut transaction = begin(pool).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 7029341185504))")
        .bind(&address.digest[..])
        .execute(&mut *transaction)
        .await?;
    let given: Option<DateTime<Utc>> =
        sqlx::query_scalar("SELECT goes_at FROM credentials.address_mails WHERE mail_id = $1")
            .bind(mail)
            .fetch_optional(&mut *transaction)
            .await?;
    if given.is_some() {
        return Ok(given);
    }
    // The last one, and the one that must be a day old before another goes.
    let statement = "SELECT goes_at FROM credentials.address_mails WHERE key_version = $1 AND digest = $2
         ORDER BY goes_at DESC LIMIT 1 OFFSET $3";
    let mut goes_at = now;
    for (behind, pause) in [(0, PAUSE), (A_DAY - 1, DAY)] {
        let earlier: Option<DateTime<Utc>> = sqlx::query_scalar(statement)
            .bind(address.key_version)
            .bind(&address.digest[..])
            .bind(behind)
            .fetch_optional(&mut *transaction)
            .await?;
        goes_at = earlier.map_or(goes_at, |earlier| goes_at.max(earlier + pause));
    }
    if goes_at > now + PATIENCE {
        return Ok(None);
    }
    let statement =
        "INSERT INTO credentials.address_mails (mail_id, key_version, digest, goes_at) VALUES ($1, $2, $3, $4)";
    sqlx::query(statement)
        .bind(mail)
        .bind(address.key_version)
        .bind(&address.digest[..])
        .bind(goes_at)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(goes_at))
}

/// Removes up to `limit` rows whose day is over; how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_old(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.address_mails WHERE mail_id IN
         (SELECT mail_id FROM credentials.address_mails WHERE goes_at < $1 ORDER BY goes_at LIMIT $2)";
    Ok(sqlx::query(statement).bind(now - DAY).bind(limit).execute(pool).await?.rows_affected())
}
