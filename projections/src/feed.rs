//! The feed: one tail reader per node that decodes each event once and feeds every projection (DESIGN 5).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::Envelope;
use sqlx::postgres::{PgListener, PgRow};
use sqlx::{PgPool, Row};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::stored_event::{StoredAround, StoredEvent};

/// How many decoded events stay in memory for the projections that are near the head.
const KEPT: usize = 32_768;
/// How often the head is looked at without being told: polling is the truth, notifications only save time.
const POLL: Duration = Duration::from_millis(500);

/// How the error of an event begins that this program does not understand; a newer one may.
pub(crate) const UNDECODABLE: &str = "cannot be decoded: ";

/// Events in order, and what stands behind them if it cannot be understood.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Decoded events, dense from the asked position on.
    pub events: Vec<Arc<Envelope>>,
    /// The event right after them cannot be decoded: whoever gets there must stop.
    pub poison: Option<Poison>,
}

/// An event that this program does not understand.
#[derive(Debug, Clone)]
pub struct Poison {
    /// Where it is.
    pub position: i64,
    /// Why; structure only, no values.
    pub error: String,
}

impl Poison {
    /// An event that cannot be decoded, and why.
    pub(crate) fn undecodable(position: i64, error: &str) -> Self {
        Self { position, error: format!("{UNDECODABLE}{error}") }
    }
}

/// The tail of the log in memory, and the log behind it.
pub struct Feed {
    pool: PgPool,
    tail: Mutex<VecDeque<Arc<Envelope>>>,
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
            let asked_again = tokio::time::sleep(POLL);
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
        let at_the_end = tail.back().is_none_or(|last| last.position <= position);
        if at_the_end {
            // Read under the lock, so that the others find it decoded.
            let batch = self.read(position, limit).await?;
            if tail.back().is_some_and(|last| last.position < position) {
                tail.clear();
            }
            tail.extend(batch.events.iter().cloned());
            let excess = tail.len().saturating_sub(KEPT);
            tail.drain(..excess);
            return Ok(batch);
        }
        drop(tail);
        self.read(position, limit).await
    }

    async fn read(&self, after: i64, limit: usize) -> Result<Batch, sqlx::Error> {
        let rows = sqlx::query(
            "select position, event_id, sequence, decided_at, recorded_at, metadata, aggregate_type, aggregate_id, event_type, \
             event_version, payload from events where position > $1 and position <= $2 order by position",
        )
        .bind(after)
        .bind(after.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)))
        .fetch_all(&self.pool)
        .await?;
        let mut batch = Batch::default();
        batch.events.reserve(rows.len());
        for row in rows {
            match decode(&row)? {
                Ok(envelope) => batch.events.push(Arc::new(envelope)),
                Err(poison) => {
                    batch.poison = Some(poison);
                    break;
                }
            }
        }
        Ok(batch)
    }
}

/// The head that the next notification carries; none when the connection that brings them is lost.
async fn told(listener: &mut Option<PgListener>) -> Option<i64> {
    match listener {
        Some(listener) => listener.recv().await.ok()?.payload().parse().ok(),
        None => std::future::pending().await,
    }
}

fn from_tail(tail: &VecDeque<Arc<Envelope>>, after: i64, limit: usize) -> Option<Batch> {
    let first = tail.front()?.position;
    let skip = usize::try_from(after + 1 - first).ok()?;
    let events: Vec<_> = tail.iter().skip(skip).take(limit).cloned().collect();
    (!events.is_empty()).then_some(Batch { events, poison: None })
}

/// Decodes a row of the columns that [`Feed::read`] asks for, in their order.
fn decode(row: &PgRow) -> Result<Result<Envelope, Poison>, sqlx::Error> {
    let event = StoredEvent {
        position: row.try_get(0)?,
        aggregate_type: row.try_get(6)?,
        aggregate_id: row.try_get(7)?,
        event_type: row.try_get(8)?,
        event_version: row.try_get(9)?,
        // JSON as it was stored, unread: its type would have it parsed, or copied once more by the database to make a text of it.
        payload: row.try_get_unchecked(10)?,
    };
    let around = StoredAround {
        event_id: row.try_get(1)?,
        sequence: row.try_get(2)?,
        decided_at: row.try_get(3)?,
        recorded_at: row.try_get(4)?,
        metadata: row.try_get_unchecked(5)?,
    };
    Ok(event.decode(&around).map_err(|error| Poison::undecodable(event.position, &error)))
}

/// A position as a gauge's value; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) const fn position_as_f64(position: i64) -> f64 {
    position as f64
}
