//! Usage of API keys, counted in memory and written in batches: a request never waits for it and never fails by it (V31, sec.K4).
//!
//! Written every five seconds, after a thousand changes, and when the node stops. A node that is killed loses what it had not written:
//! five seconds, or a minute at most while the database does not take it (what comes then is bounded too, and counted as dropped).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::{AccountId, ApiKeyId, Credits};
use atelier_vault::credential_rows::RowError;
use atelier_vault::credential_rows::key_usage::{self, Counted, Counter};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use atelier_vault::credential_rows::key_usage::{DayUsage, KEPT_DAYS, KeyUsage as UsageOfKey};

/// How often it is written.
const EVERY: Duration = Duration::from_secs(5);
/// After how many changes it is written at once.
const MANY: usize = 1_000;
/// The most counters kept in memory; beyond that new ones are dropped.
const MOST: usize = 10_000;

/// The counters of one node. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeyUsage(Arc<Inner>);

#[derive(Default)]
struct Inner {
    counts: Mutex<BTreeMap<Counter, Counted>>,
    changes: AtomicUsize,
    many: Notify,
}

impl KeyUsage {
    /// Counts a request that was answered with this status.
    pub fn request(&self, key: ApiKeyId, account: AccountId, status: u16, now: DateTime<Utc>) {
        let counted = Counted { requests: 1, credits: 0, last_at: now };
        self.count(Counter { key, day: now.date_naive(), status, account }, counted);
    }

    /// Counts what a job that came by the key has cost.
    pub fn paid(&self, key: ApiKeyId, account: AccountId, credits: Credits, now: DateTime<Utc>) {
        let counted = Counted { requests: 0, credits: credits.get(), last_at: now };
        self.count(Counter { key, day: now.date_naive(), status: 0, account }, counted);
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Counter, Counted>> {
        // Counters are whole after each step: one that panicked has left nothing half done.
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, counter: Counter, counted: Counted) {
        add(&mut self.counts(), counter, counted);
        if self.0.changes.fetch_add(1, Ordering::Relaxed) + 1 >= MANY {
            self.0.many.notify_one();
        }
    }

    /// What is written of these keys since a day, in one statement; a key without any is not in the answer.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn read(
        pool: &PgPool,
        keys: &[ApiKeyId],
        since: NaiveDate,
    ) -> Result<BTreeMap<ApiKeyId, UsageOfKey>, RowError> {
        key_usage::of(pool, keys, since).await
    }

    /// Writes what is there. What could not be written is kept, within the bound.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn flush(&self, pool: &PgPool) -> Result<(), RowError> {
        self.0.changes.store(0, Ordering::Relaxed);
        let counts = std::mem::take(&mut *self.counts());
        if counts.is_empty() {
            return Ok(());
        }
        let written = key_usage::add(pool, &counts).await;
        if written.is_err() {
            let mut kept = self.counts();
            counts.into_iter().for_each(|(counter, counted)| add(&mut kept, counter, counted));
        }
        written
    }

    /// Writes from time to time, until stopped; whoever stops it writes once more.
    pub async fn run(&self, pool: &PgPool, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.0.many.notified() => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.flush(pool).await {
                tracing::warn!(%error, "the usage of API keys could not be written");
            }
        }
    }
}

fn add(counts: &mut BTreeMap<Counter, Counted>, counter: Counter, counted: Counted) {
    if let Some(known) = counts.get_mut(&counter) {
        *known = known.and(counted);
    } else if counts.len() < MOST {
        counts.insert(counter, counted);
    } else {
        metrics::counter!("atelier_key_usage_dropped_total").increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn v31_counters_add_up_and_are_bounded() {
        let usage = KeyUsage::default();
        let (account, now) = (AccountId(Uuid::from_u128(1)), DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let key = |n: usize| ApiKeyId(Uuid::from_u128(u128::try_from(n).unwrap()));
        for n in 0..MOST + 5 {
            usage.request(key(n), account, 200, now);
        }
        usage.request(key(0), account, 200, now + chrono::TimeDelta::seconds(1));
        assert_eq!(usage.counts().len(), MOST);
        let counter = Counter { key: key(0), day: now.date_naive(), status: 200, account };
        let expected = Counted { requests: 2, credits: 0, last_at: now + chrono::TimeDelta::seconds(1) };
        assert_eq!(usage.counts().get(&counter), Some(&expected));
    }
}
