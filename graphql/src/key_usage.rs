//! How an API key was used: requests by day and status, what its jobs cost, when it was used last (V31).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Result, SimpleObject};
use atelier_commands::key_usage::{DayUsage, KEPT_DAYS, KeyUsage, UsageOfKey};
use atelier_domain::ApiKeyId;
use chrono::{DateTime, Days, NaiveDate, Utc};
use tokio::sync::Mutex;

use crate::Sides;
use crate::error::{bad_input, unavailable};
use crate::number::Long;

/// Requests that were answered with one HTTP status.
#[derive(Debug, Clone, SimpleObject)]
pub struct StatusCount {
    /// The HTTP status.
    status: i32,
    /// How many requests.
    requests: Long,
}

/// The usage of several days together.
#[derive(Debug, Clone, SimpleObject)]
pub struct UsageTotal {
    /// Requests of every kind.
    requests: Long,
    /// The same by HTTP status.
    by_status: Vec<StatusCount>,
    /// Credits that its jobs have cost.
    credits: Long,
}

/// The usage of one UTC day.
#[derive(Debug, Clone, SimpleObject)]
pub struct UsageOfDay {
    /// The day.
    date: NaiveDate,
    /// Requests of every kind.
    requests: Long,
    /// The same by HTTP status.
    by_status: Vec<StatusCount>,
    /// Credits that its jobs have cost.
    credits: Long,
}

/// The usage of an API key. Counted beside the log, some seconds late; a node that crashes loses at most its last minute.
#[derive(Debug, Clone, SimpleObject)]
pub struct ApiKeyUsage {
    /// Of the asked days together.
    total: UsageTotal,
    /// Of each of them with any, newest first.
    by_day: Vec<UsageOfDay>,
    /// When it was used last, within 400 days.
    last_used_at: Option<DateTime<Utc>>,
}

fn counts<'a>(days: impl Iterator<Item = &'a DayUsage>) -> (Long, Vec<StatusCount>, Long) {
    let (mut by_status, mut credits) = (BTreeMap::<u16, i64>::new(), 0_i64);
    for day in days {
        credits = credits.saturating_add(day.credits);
        for (status, requests) in &day.by_status {
            *by_status.entry(*status).or_default() += requests;
        }
    }
    let requests = by_status.values().fold(0, |sum: i64, requests| sum.saturating_add(*requests));
    let by_status = by_status
        .into_iter()
        .map(|(status, requests)| StatusCount { status: status.into(), requests: Long::of(requests) });
    (Long::of(requests), by_status.collect(), Long::of(credits))
}

impl From<&UsageOfKey> for ApiKeyUsage {
    fn from(usage: &UsageOfKey) -> Self {
        let (requests, by_status, credits) = counts(usage.days.iter());
        let of_day = |day: &DayUsage| {
            let (requests, by_status, credits) = counts(std::iter::once(day));
            UsageOfDay { date: day.day, requests, by_status, credits }
        };
        Self {
            total: UsageTotal { requests, by_status, credits },
            by_day: usage.days.iter().map(of_day).collect(),
            last_used_at: usage.last_used_at,
        }
    }
}

type OfKeys = Arc<BTreeMap<ApiKeyId, UsageOfKey>>;

/// The usage of a page of keys, read once for as many days as are asked for, whichever key asks first.
pub(crate) struct UsageOfPage {
    keys: Vec<ApiKeyId>,
    read: Mutex<BTreeMap<u64, OfKeys>>,
}

impl UsageOfPage {
    /// Nothing is read yet.
    pub(crate) fn of(keys: Vec<ApiKeyId>) -> Arc<Self> {
        Arc::new(Self { keys, read: Mutex::default() })
    }

    /// One key's.
    pub(crate) async fn usage(&self, context: &Context<'_>, key: ApiKeyId, days: i32) -> Result<ApiKeyUsage> {
        let days = u64::try_from(days).ok().filter(|days| (1..=KEPT_DAYS).contains(days));
        let days = days.ok_or_else(|| bad_input("days must be 1 to 400"))?;
        let mut read = self.read.lock().await;
        let of_keys = match read.get(&days) {
            Some(known) => known.clone(),
            None => {
                let write = &context.data::<Sides>()?.write;
                let since = write.now().date_naive() - Days::new(days - 1);
                let found =
                    KeyUsage::read(&write.pool, &self.keys, since).await.map_err(|error| unavailable(&error))?;
                read.entry(days).or_insert(Arc::new(found)).clone()
            }
        };
        Ok(of_keys.get(&key).map_or_else(|| (&UsageOfKey::default()).into(), Into::into))
    }
}
