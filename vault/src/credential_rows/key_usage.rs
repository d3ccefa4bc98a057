//! How often and for how much each API key was used, by UTC day and status: counters beside the log, added to in batches (V31).

use std::collections::BTreeMap;

use atelier_domain::{AccountId, ApiKeyId};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;

/// How long usage is kept, in days.
pub const KEPT_DAYS: u64 = 400;

/// What a counter counts. Status 0 is no request: what was paid that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// The key.
    pub key: ApiKeyId,
    /// The UTC day.
    pub day: NaiveDate,
    /// The answer's HTTP status.
    pub status: u16,
    /// Whose key it is.
    pub account: AccountId,
}

/// What is added to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Requests.
    pub requests: i64,
    /// Credits paid.
    pub credits: i64,
    /// The last of them.
    pub last_at: DateTime<Utc>,
}

impl Counted {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            credits: self.credits.saturating_add(other.credits),
            last_at: self.last_at.max(other.last_at),
        }
    }
}

/// What is known of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// The last request, of all days that are kept.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The asked days with anything to tell, newest first.
    pub days: Vec<DayUsage>,
}

/// One day of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// The UTC day.
    pub day: NaiveDate,
    /// Credits paid.
    pub credits: i64,
    /// Requests by HTTP status, in the order of the statuses.
    pub by_status: Vec<(u16, i64)>,
}

/// Adds to the counters in one statement. A key whose row is gone is not counted any more: so nothing comes back after an account's
/// deletion, which waits for this statement or is waited for.
///
/// # Errors
/// When the database failed; then nothing was added.
pub async fn add(pool: &PgPool, counts: &BTreeMap<Counter, Counted>) -> Result<(), RowError> {
    // In the order of the keys: two nodes do not wait for each other crosswise.
    let keys: Vec<Uuid> = counts.keys().map(|counter| counter.key.0).collect();
    let days: Vec<NaiveDate> = counts.keys().map(|counter| counter.day).collect();
    let statuses: Vec<i16> = counts.keys().map(|counter| i16::try_from(counter.status).unwrap_or(0)).collect();
    let requests: Vec<i64> = counts.values().map(|counted| counted.requests).collect();
    let credits: Vec<i64> = counts.values().map(|counted| counted.credits).collect();
    let last: Vec<DateTime<Utc>> = counts.values().map(|counted| counted.last_at).collect();
    sqlx::query(
        "WITH living AS MATERIALIZED (
             SELECT key_id, account_id FROM credentials.api_keys WHERE key_id = ANY($1) ORDER BY key_id FOR KEY SHARE)
         INSERT INTO credentials.api_key_usage AS u (key_id, day, status, account_id, requests, credits, last_at)
         SELECT n.key_id, n.day, n.status, k.account_id, n.requests, n.credits, n.last_at
         FROM unnest($1::uuid[], $2::date[], $3::int2[], $4::int8[], $5::int8[], $6::timestamptz[])
              AS n (key_id, day, status, requests, credits, last_at)
         JOIN living k USING (key_id)
         ORDER BY n.key_id, n.day, n.status
         ON CONFLICT (key_id, day, status) DO UPDATE SET
             requests = u.requests + excluded.requests,
             credits = u.credits + excluded.credits,
             last_at = greatest(u.last_at, excluded.last_at)",
    )
    .bind(keys)
    .bind(days)
    .bind(statuses)
    .bind(requests)
    .bind(credits)
    .bind(last)
    .execute(pool)
    .await?;
    Ok(())
}

/// One row of the statement below.
type Row = (Uuid, Option<DateTime<Utc>>, Option<NaiveDate>, Option<i16>, Option<i64>, Option<i64>);

/// The usage of some keys since a day, in one statement; a key without any is not in the answer.
///
/// # Errors
/// When the database failed.
pub async fn of(pool: &PgPool, keys: &[ApiKeyId], since: NaiveDate) -> Result<BTreeMap<ApiKeyId, KeyUsage>, RowError> {
    let keys: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.key_id, l.last_at, u.day, u.status, u.requests, u.credits
         FROM unnest($1::uuid[]) AS p (key_id)
         CROSS JOIN LATERAL (
             SELECT max(x.last_at) AS last_at FROM credentials.api_key_usage x
             WHERE x.key_id = p.key_id AND x.requests > 0 AND x.day = (
                 SELECT max(y.day) FROM credentials.api_key_usage y WHERE y.key_id = p.key_id AND y.requests > 0)) l
         LEFT JOIN credentials.api_key_usage u ON u.key_id = p.key_id AND u.day >= $2
         ORDER BY p.key_id, u.day DESC, u.status",
    )
    .bind(keys)
    .bind(since)
    .fetch_all(pool)
    .await?;
    let mut found: BTreeMap<ApiKeyId, KeyUsage> = BTreeMap::new();
    for (key, last_used_at, day, status, requests, credits) in rows {
        let usage = found.entry(ApiKeyId(key)).or_default();
        usage.last_used_at = last_used_at;
        let (Some(day), Some(status)) = (day, status) else { continue };
        if usage.days.last().is_none_or(|last| last.day != day) {
            usage.days.push(DayUsage { day, credits: 0, by_status: Vec::new() });
        }
        let Some(last) = usage.days.last_mut() else { continue };
        last.credits += credits.unwrap_or(0);
        if let Some(requests) = requests.filter(|requests| *requests > 0) {
            last.by_status.push((u16::try_from(status).unwrap_or(0), requests));
        }
    }
    Ok(found)
}

/// Removes up to `limit` counters of days before this one; how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_before(pool: &PgPool, day: NaiveDate, limit: i64) -> Result<u64, RowError> {
    let removed = sqlx::query(
        "DELETE FROM credentials.api_key_usage WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM credentials.api_key_usage WHERE day < $1 LIMIT $2))",
    )
    .bind(day)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(removed.rows_affected())
}
