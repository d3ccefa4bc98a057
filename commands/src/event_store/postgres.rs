//! The PostgreSQL event store: appends by the batching writer, reads by the pool.

use async_trait::async_trait;
use atelier_domain::{AccountId, EventId};
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Link, LinkError};
use super::writer::{Writer, WriterOptions};
use super::{
    Append, AppendError, EventStore, LoadError, Position, Snapshot, SnapshotStore, StoredEvent, StreamId, Submitted,
    UsedKey,
};

/// The log in PostgreSQL (`migrations/0001_log.sql`). Clones share one writer.
pub struct PostgresEventStore {
    pool: PgPool,
    writer: Writer,
}

impl PostgresEventStore {
    /// Starts the store's writer on a connection of its own; reads go through the pool.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn start(
        pool: PgPool,
        url: &str,
        options: WriterOptions,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, LinkError> {
        Ok(Self { pool, writer: Writer::start(Link::of(url)?, options, tasks, stop) })
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
    fn submit(&self, append: Append) -> Result<Submitted, AppendError> {
        self.writer.submit(append)
    }

    fn era(&self) -> u64 {
        self.writer.era()
    }

    async fn page(&self, stream: &StreamId, after_sequence: i64, limit: usize) -> Result<Vec<StoredEvent>, LoadError> {
        let rows = sqlx::query(
            "select sequence, position, event_type, event_version, payload::text, decided_at, event_id from events \
             where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence limit $4",
        )
        .bind(stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(after_sequence)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(StoredEvent {
                    event_id: EventId(row.try_get(6)?),
                    sequence: row.try_get(0)?,
                    position: Position(row.try_get(1)?),
                    event_type: row.try_get(2)?,
                    event_version: row.try_get(3)?,
                    payload: row.try_get(4)?,
                    decided_at: row.try_get(5)?,
                })
            })
            .collect()
    }

    async fn head(&self) -> Result<Position, LoadError> {
        let head: Option<i64> = sqlx::query_scalar("select max(position) from events").fetch_one(&self.pool).await?;
        Ok(Position(head.unwrap_or_default()))
    }

    async fn find_key(&self, account: AccountId, key: &str) -> Result<Option<UsedKey>, LoadError> {
        let row = sqlx::query(
            "select fingerprint, result, position from idempotency_keys where account_id = $1 and key = $2",
        )
        .bind(account.0)
        .bind(key)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(UsedKey { fingerprint: row.try_get(0)?, result: row.try_get(1)?, position: Position(row.try_get(2)?) })
        })
        .transpose()
    }
}

#[async_trait]
impl SnapshotStore for PostgresEventStore {
    async fn latest(&self, stream: &StreamId, form: &str) -> Result<Option<Snapshot>, LoadError> {
        let row = sqlx::query(
            "select last_sequence, last_event_id, payload::text from snapshots where aggregate_type = $1 and aggregate_id = $2 \
             and form = $3 and last_event_id is not null order by last_sequence desc limit 1",
        )
        .bind(stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(form)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            let (last_sequence, last_event) = (row.try_get(0)?, EventId(row.try_get(1)?));
            Ok(Snapshot { last_sequence, last_event, state: row.try_get(2)? })
        })
        .transpose()
    }

    async fn keep(&self, stream: &StreamId, form: &str, snapshot: &Snapshot) -> Result<(), LoadError> {
        // One for each stream: the older ones go, and those of another form. Of two that are written at once the later counts.
        sqlx::query(
            "with older as (delete from snapshots where aggregate_type = $1 and aggregate_id = $2 and (last_sequence < $3 or form <> $5)) \
             insert into snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload, form, last_event_id) \
             values ($1, $2, $3, 1, $4::json, $5, $6) on conflict (aggregate_type, aggregate_id, last_sequence) \
             do update set payload = excluded.payload, form = excluded.form, last_event_id = excluded.last_event_id",
        )
        .bind(stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(snapshot.last_sequence)
        .bind(&snapshot.state)
        .bind(form)
        .bind(snapshot.last_event.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn discard(&self, stream: &StreamId) -> Result<(), LoadError> {
        sqlx::query("delete from snapshots where aggregate_type = $1 and aggregate_id = $2")
            .bind(stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
