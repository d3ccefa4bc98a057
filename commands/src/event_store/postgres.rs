//! The PostgreSQL event store: appends by the batching writer, reads by the pool.

use std::str::FromStr;

use async_trait::async_trait;
use atelier_domain::AccountId;
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::writer::{Writer, WriterOptions};
use super::{Append, AppendError, Appended, EventStore, LoadError, Position, StoredEvent, StreamId, UsedKey};

/// The log in PostgreSQL (`migrations/0001_log.sql`). Clones share one writer.
pub struct PostgresEventStore {
    pool: PgPool,
    writer: Writer,
}

impl PostgresEventStore {
    /// Starts the store's writer on a connection of its own; reads go through the pool.
    ///
    /// # Errors
    /// When the URL cannot be parsed.
    pub fn start(
        pool: PgPool,
        url: &str,
        options: WriterOptions,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, tokio_postgres::Error> {
        let config = tokio_postgres::Config::from_str(url)?;
        Ok(Self { pool, writer: Writer::start(config, options, tasks, stop) })
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.writer.append(append).await
    }

    async fn load(&self, stream: &StreamId, after_sequence: i64) -> Result<Vec<StoredEvent>, LoadError> {
        let rows = sqlx::query(
            "select sequence, position, event_type, event_version, payload::text, decided_at from events \
             where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence",
        )
        .bind(stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(after_sequence)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(StoredEvent {
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
