//! How many jobs an API key has asked for within the last 24 hours (U34), exact on any number of nodes.
//!
//! The window moves in quarters of an hour: a place comes back 24 hours after it was taken, and up to 15 minutes later; in no 24 hours
//! are more taken than there are. A crash of PostgreSQL gives all of them back (the table is not logged), nothing else does.

use atelier_domain::{AccountId, ApiKeyId};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::RowError;

/// The length of a slot, in seconds.
const SLOT: i64 = 15 * 60;
/// Slots that touch the last 24 hours.
const SLOTS: i32 = 97;

/// How many places of a key are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// How many.
    pub used: i64,
    /// The oldest slot with one of them.
    pub oldest: Option<i64>,
}

impl Places {
    /// After how long the first of them is free again; zero when none is taken.
    #[must_use]
    pub fn free_in(self, now: DateTime<Utc>) -> TimeDelta {
        let end = self.oldest.map_or(0, |oldest| (oldest + i64::from(SLOTS)) * SLOT);
        TimeDelta::seconds((end - now.timestamp()).max(0))
    }
}

/// A place that was taken; to be given back when its request was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    key: ApiKeyId,
    slot: i64,
}

/// The slot of an instant.
const fn slot(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(SLOT)
}

/// Slots up to this one lie behind an instant's window.
#[must_use]
pub(crate) fn before(now: DateTime<Utc>) -> i64 {
    slot(now) - i64::from(SLOTS)
}

/// Takes a place if fewer than `at_most` are taken; none when they all are. With it, how many are taken now.
///
/// # Errors
/// When the database failed.
pub async fn take(
    pool: &PgPool,
    key: ApiKeyId,
    account: AccountId,
    now: DateTime<Utc>,
    at_most: u32,
) -> Result<(Option<Place>, Places), RowError> {
    let slot = slot(now);
    let (free, used, oldest): (bool, i64, Option<i64>) =
        sqlx::query_as("SELECT was_free, used, oldest FROM credentials.take_key_place($1, $2, $3, $4, $5)")
            .bind(key.0)
            .bind(account.0)
            .bind(slot)
            .bind(SLOTS)
            .bind(i64::from(at_most))
            .fetch_one(pool)
            .await?;
    Ok((free.then_some(Place { key, slot }), Places { used, oldest }))
}

/// Gives a place back. A process that dies before has lost it until its time is over.
///
/// # Errors
/// When the database failed.
pub async fn give_back(pool: &PgPool, place: Place) -> Result<(), RowError> {
    sqlx::query(
        "UPDATE credentials.api_key_places SET taken = taken - 1 WHERE key_id = $1 AND slot = $2 AND taken > 0",
    )
    .bind(place.key.0)
    .bind(place.slot)
    .execute(pool)
    .await?;
    Ok(())
}

/// Removes up to `limit` slots of keys that are not used any more; how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_stale(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let removed = sqlx::query(
        "DELETE FROM credentials.api_key_places WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM credentials.api_key_places WHERE slot <= $1 LIMIT $2))",
    )
    .bind(before(now))
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(removed.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u34_a_place_is_free_a_day_after_it_was_taken_and_at_most_a_quarter_of_an_hour_later() {
        let start = DateTime::from_timestamp(1_700_000_100, 0).unwrap();
        for seconds in [0, 1, 899, 900, 901, 5_000] {
            let taken_at = start + TimeDelta::seconds(seconds);
            let places = Places { used: 1, oldest: Some(slot(taken_at)) };
            let free_at = taken_at + places.free_in(taken_at);
            let late = free_at - taken_at - TimeDelta::days(1);
            assert!((TimeDelta::zero()..=TimeDelta::minutes(15)).contains(&late), "{late}");
            assert!(before(free_at) >= slot(taken_at), "its slot is behind the window by then");
            assert!(before(free_at - TimeDelta::seconds(1)) < slot(taken_at), "and not a second sooner");
            assert_eq!(places.free_in(free_at), TimeDelta::zero());
        }
        assert_eq!(Places::default().free_in(start), TimeDelta::zero());
    }
}
