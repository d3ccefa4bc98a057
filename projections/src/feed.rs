//! The feed: one tail reader per node that decodes each event once and feeds every projection (DESIGN 5).

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex as PlainMutex, PoisonError};
use std::time::Duration;

use atelier_log::{Branch, Expected, KnownLog};
use sqlx::postgres::{PgListener, PgRow};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::batch::{Batch, Logged};
use crate::stored_event::{StoredAround, StoredEvent};

/// How many decoded events stay in memory for the projections that are near the head.
const KEPT: usize = 32_768;
/// How often the head is looked at while nothing can be told.
const POLL: Duration = Duration::from_millis(500);
/// How often while it is: polling is the truth, notifications only save time, and an idle node costs the database next to nothing.
const POLL_TOLD: Duration = Duration::from_secs(5);

/// How often a read is tried again that found another log than this node works on.
pub(crate) const TRIES: usize = 4;

/// The tail of the log in memory, and the log behind it. Both are of one branch: when the log is on another one, nothing is kept.
pub struct Feed {
    pool: PgPool,
    log: Arc<KnownLog>,
    tail: Mutex<Tail>,
    head: watch::Sender<i64>,
    /// The branch whose head that is.
    head_of: PlainMutex<Branch>,
}

/// Decoded events in order, dense.
#[derive(Default)]
struct Tail {
    branch: Branch,
    events: VecDeque<Logged>,
}

impl Feed {
    /// A feed over the log of this database, that alone knows of it.
    #[must_use]
    pub fn new(pool: PgPool) -> Arc<Self> {
        Self::over(KnownLog::new(pool.clone()), pool)
    }

    /// A feed over the log of this database; `log` is what the node knows of it.
    #[must_use]
    pub fn over(log: Arc<KnownLog>, pool: PgPool) -> Arc<Self> {
        let (tail, head, head_of) = (Mutex::default(), watch::Sender::new(0), PlainMutex::default());
        Arc::new(Self { pool, log, tail, head, head_of })
    }

    /// What this node knows of the log.
    #[must_use]
    pub const fn log(&self) -> &Arc<KnownLog> {
        &self.log
    }

    /// Changes whenever the head may have moved.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Watches the head until stopped: told by the append's NOTIFY, and asks the log anyway.
    pub async fn watch_head(&self, stop: &CancellationToken) {
        let (mut listener, mut eras) = (None, self.log.eras());
        while !stop.is_cancelled() {
            eras.mark_unchanged();
            if listener.is_none() {
                listener = self.listen().await;
            }
            let branch = match self.read_head().await {
                Ok((branch, position)) => {
                    self.head_is(branch, position);
                    Some(branch)
                }
                Err(error) => {
                    tracing::warn!(%error, "the head of the log cannot be read");
                    None
                }
            };
            let asked_again = tokio::time::sleep(if listener.is_some() { POLL_TOLD } else { POLL });
            tokio::pin!(asked_again);
            // Between two questions the notifications are believed: each carries the head of its batch.
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut asked_again => break,
                    // Another log: what was told of the one before is not waited for.
                    _ = eras.changed() => {
                        listener = None;
                        break;
                    }
                    told = told(&mut listener) => match told.zip(branch) {
                        Some((position, branch)) => self.head_is(branch, position),
                        None => { listener = None; break }
                    },
                }
            }
        }
    }

    /// The head of a branch is here or further on: a notification may come after a later answer. Of another branch than before it is
    /// here, and everybody looks again.
    fn head_is(&self, branch: Branch, position: i64) {
        let mut head_of = self.head_of.lock().unwrap_or_else(PoisonError::into_inner);
        if self.log.branch() != Some(branch) {
            return;
        }
        if std::mem::replace(&mut *head_of, branch) == branch {
            self.head.send_if_modified(|head| std::mem::replace(head, position.max(*head)) < position);
        } else {
            self.head.send_replace(position);
        }
        metrics::gauge!("atelier_log_position").set(position_as_f64(position));
    }

    /// The known head of a branch; 0 when it is not known.
    fn head_on(&self, branch: Branch) -> i64 {
        let head_of = self.head_of.lock().unwrap_or_else(PoisonError::into_inner);
        if *head_of == branch { *self.head.borrow() } else { 0 }
    }

    async fn read_head(&self) -> Result<(Branch, i64), sqlx::Error> {
        let head = "select l.branch, e.position, e.event_id from (select log_branch($1, $2) as branch offset 0) l \
                    left join lateral (select position, event_id from events order by position desc limit 1) e on true";
        for _ in 0..TRIES {
            let expected = self.log.expected().await?;
            let (found, position, event): (Option<Uuid>, Option<i64>, Option<Uuid>) =
                sqlx::query_as(head).bind(expected.position).bind(expected.event).fetch_one(&self.pool).await?;
            if self.log.is(&expected, found).await? && self.log.saw(expected.branch, position.zip(event)) {
                return Ok((expected.branch, position.unwrap_or_default()));
            }
        }
        Err(changing())
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
        let branch = self.log.expected().await?.branch;
        if self.head_on(branch) <= position {
            return Ok(Batch::default().of(branch));
        }
        let mut tail = self.tail.lock().await;
        if tail.branch != branch {
            *tail = Tail { branch, events: VecDeque::new() };
        }
        if let Some(batch) = from_tail(&tail.events, position, limit) {
            return Ok(batch.of(branch));
        }
        let at_the_end = tail.events.back().is_none_or(|last| last.position() <= position);
        if at_the_end {
            // Read under the lock, so that the others find it decoded.
            let (branch, read) = self.read(position, limit).await?;
            if tail.branch != branch || tail.events.back().is_some_and(|last| last.position() < position) {
                *tail = Tail { branch, events: VecDeque::new() };
            }
            tail.events.extend(read.iter().cloned());
            let excess = tail.events.len().saturating_sub(KEPT);
            tail.events.drain(..excess);
            return Ok(read.into_iter().collect::<Batch>().of(branch));
        }
        drop(tail);
        let (branch, read) = self.read(position, limit).await?;
        Ok(read.into_iter().collect::<Batch>().of(branch))
    }

    /// Events with the branch that they are of.
    async fn read(&self, after: i64, limit: usize) -> Result<(Branch, Vec<Logged>), sqlx::Error> {
        for _ in 0..TRIES {
            let expected = self.log.expected().await?;
            let (found, mut events) = self.read_expecting(&expected, after, limit).await?;
            if !self.log.is(&expected, found).await? {
                continue;
            }
            // In this order as a rule; a join promises none.
            events.sort_by_key(Logged::position);
            if self.log.saw(expected.branch, events.iter().map(|event| (event.position(), event.event_id()))) {
                return Ok((expected.branch, events));
            }
        }
        Err(changing())
    }

    async fn read_expecting(
        &self,
        expected: &Expected,
        after: i64,
        limit: usize,
    ) -> Result<(Option<Uuid>, Vec<Logged>), sqlx::Error> {
        let statement = format!(
            "select e.*, l.branch from (select log_branch($3, $4) as branch offset 0) l left join lateral \
             ({EVENTS} where position > $1 and position <= $2 order by position) e on true"
        );
        let rows = sqlx::query(&statement)
            .bind(after)
            .bind(after.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)))
            .bind(expected.position)
            .bind(expected.event)
            .fetch_all(&self.pool)
            .await?;
        let found = rows.first().map(|row| row.try_get::<Option<Uuid>, _>("branch")).transpose()?.flatten();
        let there = rows.iter().filter(|row| row.try_get::<Option<i64>, _>(0).is_ok_and(|position| position.is_some()));
        Ok((found, there.map(logged).collect::<Result<_, _>>()?))
    }
}

/// What a read comes to that finds another log each time.
pub(crate) fn changing() -> sqlx::Error {
    sqlx::Error::Protocol("the log changes too fast".to_owned())
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
