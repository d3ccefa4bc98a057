//! The feed: one tail reader per node that decodes each event once and feeds every projection (DESIGN 5).

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgRow};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, Logged};
use crate::stored_event::{StoredAround, StoredEvent};

/// How many decoded events stay in memory for the projections that are near the head.
const KEPT: usize = 32_768;
/// How often the head is looked at while nothing can be told.
const POLL: Duration = Duration::from_millis(500);
/// How often while it is: polling is the truth, notifications only save time, and an idle node costs the database next to nothing.
const POLL_TOLD: Duration = Duration::from_secs(5);

/// The tail of the log in memory, and the log behind it.
pub struct Feed {
    pool: PgPool,
    tail: Mutex<VecDeque<Logged>>,
    head: watch::Sender<i64>,
}

impl Feed {
    /// A feed over the log of this database.
    #[must_use]
    pub fn new(pool: PgPool) -> Arc<Self> {
        Arc::new(Self { pool, tail: Mutex::new(VecDeque::new()), head: watch::Sender::new(0) })
    }

    /// Changes whenever the head may have moved.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Watches the head until stopped: told by the append's NOTIFY, and asks the log anyway.
    pub async fn watch_head(&self, stop: &CancellationToken) {
        let mut listener = None;
        while !stop.is_cancelled() {
            if listener.is_none() {
                listener = self.listen().await;
            }
            match sqlx::query_scalar::<_, i64>("select coalesce(max(position), 0) from events")
                .fetch_one(&self.pool)
                .await
            {
                Ok(position) => self.head_is(position),
                Err(error) => tracing::warn!(%error, "the head of the log cannot be read"),
            }
            let asked_again = tokio::time::sleep(if listener.is_some() { POLL_TOLD } else { POLL });
            tokio::pin!(asked_again);
            // Between two questions the notifications are believed: each carries the head of its batch.
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut asked_again => break,
                    told = told(&mut listener) => match told {
                        Some(position) => self.head_is(position),
                        None => { listener = None; break }
                    },
                }
            }
        }
    }

    /// The head is here or further on: a notification may come after a later answer.
    fn head_is(&self, position: i64) {
        self.head.send_if_modified(|head| std::mem::replace(head, position.max(*head)) < position);
        metrics::gauge!("atelier_log_position").set(position_as_f64(position));
    }

    async fn listen(&self) -> Option<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await.ok()?;
        listener.listen("atelier_log").await.ok()?;
        Some(listener)
    }

    /// Up to `limit` events after a position, in order, none missing; none when the known head is not behind it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn after(&self, position: i64, limit: usize) -> Result<Batch, sqlx::Error> {
        if *self.head.borrow() <= position {
            return Ok(Batch::default());
        }
        let mut tail = self.tail.lock().await;
        if let Some(batch) = from_tail(&tail, position, limit) {
            return Ok(batch);
        }
        let at_the_end = tail.back().is_none_or(|last| last.position() <= position);
        if at_the_end {
            // Read under the lock, so that the others find it decoded.
            let read = self.read(position, limit).await?;
            if tail.back().is_some_and(|last| last.position() < position) {
                tail.clear();
            }
            tail.extend(read.iter().cloned());
            let excess = tail.len().saturating_sub(KEPT);
            tail.drain(..excess);
            return Ok(read.into_iter().collect());
        }
        drop(tail);
        Ok(self.read(position, limit).await?.into_iter().collect())
    }

    async fn read(&self, after: i64, limit: usize) -> Result<Vec<Logged>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        range(&mut connection, after, limit).await
    }
}

/// Up to `limit` events after a position, from the log itself, whatever is known of its head.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn range(connection: &mut PgConnection, after: i64, limit: usize) -> Result<Vec<Logged>, sqlx::Error> {
    let rows = sqlx::query(&format!("{EVENTS} where position > $1 and position <= $2 order by position"))
        .bind(after)
        .bind(after.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)))
        .fetch_all(connection)
        .await?;
    rows.iter().map(logged).collect()
}

/// The events at these positions, in order.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn at(connection: &mut PgConnection, positions: &[i64]) -> Result<Vec<Logged>, sqlx::Error> {
    let rows = sqlx::query(&format!("{EVENTS} where position = any($1) order by position"))
        .bind(positions)
        .fetch_all(connection)
        .await?;
    rows.iter().map(logged).collect()
}

/// The head that the next notification carries; none when the connection that brings them is lost.
async fn told(listener: &mut Option<PgListener>) -> Option<i64> {
    match listener {
        // Not `recv`, which connects anew without a word about what was missed.
        Some(listener) => listener.try_recv().await.ok()??.payload().parse().ok(),
        None => std::future::pending().await,
    }
}

fn from_tail(tail: &VecDeque<Logged>, after: i64, limit: usize) -> Option<Batch> {
    let first = tail.front()?.position();
    let skip = usize::try_from(after + 1 - first).ok()?;
    let batch: Batch = tail.iter().skip(skip).take(limit).cloned().collect();
    (!batch.is_empty()).then_some(batch)
}

/// The columns of [`logged`], in their order.
const EVENTS: &str = "select position, event_id, sequence, decided_at, recorded_at, metadata, aggregate_type, aggregate_id, event_type, \
                      event_version, payload from events";

/// Decodes a row. Whatever is wrong with its values is the event's fault and stays with it.
///
/// # Errors
/// When the row does not have the columns of an event: then it is none of the log.
fn logged(row: &PgRow) -> Result<Logged, sqlx::Error> {
    let event = StoredEvent {
        position: row.try_get(0)?,
        aggregate_type: row.try_get(6)?,
        aggregate_id: row.try_get(7)?,
        event_type: row.try_get(8)?,
        event_version: row.try_get(9)?,
        // JSON as it was stored, unread: its type would have it parsed, or copied once more by the database to make a text of it.
        payload: row.try_get_unchecked(10)?,
    };
    let (event_id, sequence, metadata) = (row.try_get(1)?, row.try_get(2)?, row.try_get_unchecked(5)?);
    // The driver panics at an instant that chrono does not have, such as infinity.
    let instant =
        |column: usize| std::panic::catch_unwind(AssertUnwindSafe(|| row.try_get(column).ok())).ok().flatten();
    let around = StoredAround { event_id, sequence, decided_at: instant(3), recorded_at: instant(4), metadata };
    Ok(event.logged(&around))
}

/// A position as a gauge's value; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) const fn position_as_f64(position: i64) -> f64 {
    position as f64
}
