//! Reading the log back: position ranges in global order by binary COPY, several in flight, each decoded where it is read (DESIGN 3).
//!
//! Every range is a transaction of its own, so none stays open for long however long the log is. An auditor needs no more than this:
//!
//! ```ignore
//! let replay = Replay::new(pool);
//! let head = replay.head().await?;
//! let ranges = replay.read(1..=head, Some("CreditLedger"), |event| my_entries(event.payload));
//! // a stream of one Vec for each range, in order
//! ```

use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{Stream, StreamExt, TryStreamExt};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::batch::Batch;
use crate::stored_event::{StoredAround, StoredEvent};

/// How many positions are read in one transaction.
const RANGE: i64 = 16_384;
/// How many ranges are in flight, each on a connection of its own.
const IN_FLIGHT: usize = 2;
/// What a binary COPY begins with: signature, flags, length of an extension that is not there.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The log could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database failed.
    #[error("the log cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The database sent something that is not a binary COPY of what was asked for.
    #[error("the log's copy is malformed")]
    Malformed,
    /// A position between these has no event, though positions are dense (property 1 of the log).
    #[error("the positions {0} to {1} are not all there")]
    Missing(i64, i64),
    /// The reading task ended before its range did.
    #[error("reading was interrupted")]
    Interrupted,
}

/// Reads the log back. Cheap to clone; uses two of the pool's connections while it reads.
#[derive(Debug, Clone)]
pub struct Replay {
    pool: PgPool,
}

impl Replay {
    /// A reader over the log of this database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The position of the last event; 0 for an empty log.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn head(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("select coalesce(max(position), 0) from events").fetch_one(&self.pool).await
    }

    /// What `decode` makes of the events at these positions, of one kind of stream or of all, in global order: a vector for each
    /// range read. `decode` runs where the range is read, away from whoever takes the vectors. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// An item is a [`ReplayError`] when the log could not be read; nothing comes after it.
    pub fn read<T: Send + 'static, D: Fn(StoredEvent<'_>) -> T + Send + Sync + 'static>(
        &self,
        positions: RangeInclusive<i64>,
        aggregate_type: Option<&'static str>,
        decode: D,
    ) -> impl Stream<Item = Result<Vec<T>, ReplayError>> + Send + use<T, D> {
        let of = aggregate_type
            .map_or_else(String::new, |name| format!(" and aggregate_type = '{}'", name.replace('\'', "''")));
        let columns = "position, aggregate_type, aggregate_id, event_type, event_version, payload";
        let dense = aggregate_type.is_none();
        self.copy(positions, columns, of, dense, move |fields| Some(decode(stored(fields)?)))
    }

    /// The events at these positions, decoded, in global order: a batch for each range.
    ///
    /// # Errors
    /// An item is a [`ReplayError`] when the log could not be read; nothing comes after it.
    pub fn envelopes(
        &self,
        positions: RangeInclusive<i64>,
    ) -> impl Stream<Item = Result<Batch, ReplayError>> + Send + use<> {
        let columns = "position, aggregate_type, aggregate_id, event_type, event_version, payload, \
                       event_id, sequence, decided_at, recorded_at, metadata";
        let decode = |fields: &mut Fields<'_>| {
            let event = stored(fields)?;
            let around = StoredAround {
                event_id: Uuid::from_slice(fields.next()?).ok()?,
                sequence: fields.integer()?,
                decided_at: instant(fields.integer()?),
                recorded_at: instant(fields.integer()?),
                metadata: fields.text()?,
            };
            Some(event.logged(&around))
        };
        self.copy(positions, columns, String::new(), true, decode).map_ok(|logged| logged.into_iter().collect())
    }

    fn copy<T: Send + 'static, D: Fn(&mut Fields<'_>) -> Option<T> + Send + Sync + 'static>(
        &self,
        positions: RangeInclusive<i64>,
        columns: &'static str,
        of: String,
        dense: bool,
        decode: D,
    ) -> impl Stream<Item = Result<Vec<T>, ReplayError>> + Send + use<T, D> {
        let (pool, decode) = (self.pool.clone(), Arc::new(decode));
        let (first, last) = positions.into_inner();
        let step = usize::try_from(RANGE).unwrap_or(usize::MAX);
        let ranges = (first.max(1)..=last).step_by(step).map(move |from| (from, last.min(from + RANGE - 1)));
        futures::stream::iter(ranges)
            .map(move |(from, to)| {
                let (pool, decode) = (pool.clone(), decode.clone());
                let sql = format!(
                    "copy (select {columns} from events where position between {from} and {to}{of} order by position) to stdout binary"
                );
                let expected = dense.then_some((from, to));
                AbortOnDropHandle::new(tokio::spawn(async move { range(&pool, &sql, expected, decode.as_ref()).await }))
            })
            .buffered(IN_FLIGHT)
            .map(|read| read.unwrap_or(Err(ReplayError::Interrupted)))
    }
}

/// A connection that is being read from. Given back in the middle of a COPY it would answer the next question with the rest of it, so
/// then it is closed: whoever reads may be stopped at any moment.
struct Reading {
    connection: PoolConnection<Postgres>,
    whole: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.whole {
            self.connection.close_on_drop();
        }
    }
}

async fn range<T>(
    pool: &PgPool,
    sql: &str,
    expected: Option<(i64, i64)>,
    decode: &(dyn Fn(&mut Fields<'_>) -> Option<T> + Send + Sync),
) -> Result<Vec<T>, ReplayError> {
    let mut rows = Vec::new();
    let mut reading = Reading { connection: pool.acquire().await?, whole: false };
    let mut messages = reading.connection.copy_out_raw(sql).await?;
    let mut begun = false;
    // One message a row; the first has the header in front, the last says that there are no more.
    while let Some(message) = messages.try_next().await? {
        let mut bytes = message.as_ref();
        if !begun {
            bytes = bytes.strip_prefix(HEADER).ok_or(ReplayError::Malformed)?;
            begun = true;
        }
        while let Some((count, rest)) = bytes.split_first_chunk() {
            if i16::from_be_bytes(*count) < 0 {
                break;
            }
            let mut fields = Fields(rest);
            rows.push(decode(&mut fields).ok_or(ReplayError::Malformed)?);
            bytes = fields.0;
        }
    }
    drop(messages);
    reading.whole = true;
    match expected {
        Some((from, to)) if i64::try_from(rows.len()) != Ok(to - from + 1) => Err(ReplayError::Missing(from, to)),
        _ => Ok(rows),
    }
}

fn stored<'a>(fields: &mut Fields<'a>) -> Option<StoredEvent<'a>> {
    Some(StoredEvent {
        position: fields.integer()?,
        aggregate_type: fields.text()?,
        aggregate_id: fields.text()?,
        event_type: fields.text()?,
        event_version: fields.text()?,
        payload: fields.text()?,
    })
}

/// The fields of a row, each with its length in front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field; `None` when it is missing or null, which no column of the log may be.
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(i32::from_be_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(field)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next()?).ok()
    }

    fn integer(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.next()?.try_into().ok()?))
    }
}

/// The instant so many microseconds after the first second of 2000; `None` for one that chrono does not have, such as infinity.
fn instant(microseconds: i64) -> Option<DateTime<Utc>> {
    let epoch = DateTime::from_timestamp(946_684_800, 0)?;
    epoch.checked_add_signed(TimeDelta::microseconds(microseconds))
}
