//! The PostgreSQL event store: appends by the batching writer, reads by the pool.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::{AccountId, EventId};
use atelier_log::{Branch, KnownLog};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, PgPool, Row, ValueRef};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::link::{Link, LinkError};
use super::writer::{Writer, WriterOptions};
use super::{
    Append, AppendError, EventStore, LoadError, Position, Snapshot, SnapshotStore, StoredEvent, StreamId, Submitted,
    UsedKey,
};

/// The log in PostgreSQL (`migrations/0001_log.sql`). Clones share one writer.
pub struct PostgresEventStore {
    pool: PgPool,
    log: Arc<KnownLog>,
    writer: Writer,
}

/// How often a read is tried again that found another log than this node works on.
const TRIES: usize = 4;

impl PostgresEventStore {
    /// Starts a store that alone knows of its log.
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
        let log = KnownLog::new(pool.clone());
        Self::start_over(log, pool, url, options, tasks, stop)
    }

    /// Starts the store's writer on a connection of its own; reads go through the pool. `log` is what the node knows of it.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn start_over(
        log: Arc<KnownLog>,
        pool: PgPool,
        url: &str,
        options: WriterOptions,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, LinkError> {
        Ok(Self { pool, log: log.clone(), writer: Writer::start(Link::of(url)?, log, options, tasks, stop) })
    }

    /// Reads from the log that this node works on: `statement` has the branch as its first column, in a row of nulls when it finds
    /// nothing; its parameters $1 and $2 are for that. With the branch come the rows that it finds.
    async fn read<T>(
        &self,
        statement: &str,
        bind: impl Fn(&mut PgArguments) -> Result<(), BoxDynError> + Send + Sync,
        row: impl Fn(&PgRow, Branch) -> Result<(T, Option<(i64, Uuid)>), sqlx::Error> + Send + Sync,
    ) -> Result<(Branch, Vec<T>), LoadError>
    where
        T: Send,
    {
        for _ in 0..TRIES {
            let expected = self.log.expected().await?;
            let mut bound = PgArguments::default();
            bound.add(expected.position).and_then(|()| bound.add(expected.event)).map_err(sqlx::Error::Encode)?;
            bind(&mut bound).map_err(sqlx::Error::Encode)?;
            let rows = sqlx::query_with(statement, bound).fetch_all(&self.pool).await?;
            let found = rows.first().map(|row| row.try_get::<Option<Uuid>, _>(0)).transpose()?.flatten();
            if !self.log.is(&expected, found).await? {
                continue;
            }
            let there = rows.iter().filter(|row| row.try_get_raw(1).is_ok_and(|value| !value.is_null()));
            let (read, seen): (Vec<T>, Vec<_>) =
                there.map(|found| row(found, expected.branch)).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
            if self.log.saw(expected.branch, seen.into_iter().flatten()) {
                return Ok((expected.branch, read));
            }
        }
        Err(sqlx::Error::Protocol("the log changes too fast".to_owned()).into())
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
    fn submit(&self, append: Append) -> Result<Submitted, AppendError> {
        self.writer.submit(append)
    }

    fn era(&self) -> u64 {
        self.log.era()
    }

    async fn page(&self, stream: &StreamId, after_sequence: i64, limit: usize) -> Result<Vec<StoredEvent>, LoadError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let page = "select l.branch, e.* from (select log_branch($1, $2) as branch offset 0) l left join lateral (\
             select sequence, position, event_type, event_version, payload::text, decided_at, event_id from events \
             where aggregate_type = $3 and aggregate_id = $4 and sequence > $5 order by sequence limit $6) e on true";
        let bind = |bound: &mut PgArguments| {
            bound.add(stream.aggregate_type)?;
            bound.add(&stream.aggregate_id)?;
            bound.add(after_sequence)?;
            bound.add(limit)
        };
        let event = |row: &PgRow, branch| {
            let (number, event_id): (i64, Uuid) = (row.try_get(2)?, row.try_get(7)?);
            let event = StoredEvent {
                event_id: EventId(event_id),
                sequence: row.try_get(1)?,
                position: Position::of(branch, number),
                event_type: row.try_get(3)?,
                event_version: row.try_get(4)?,
                payload: row.try_get(5)?,
                decided_at: row.try_get(6)?,
            };
            Ok((event, Some((number, event_id))))
        };
        let (_, mut events) = self.read(page, bind, event).await?;
        // In this order as a rule; a join promises none.
        events.sort_by_key(|event| event.sequence);
        Ok(events)
    }

    async fn head(&self) -> Result<Position, LoadError> {
        let head = "select l.branch, e.* from (select log_branch($1, $2) as branch offset 0) l left join lateral (\
             select position, event_id from events order by position desc limit 1) e on true";
        let last = |row: &PgRow, _| {
            let (number, event): (i64, Uuid) = (row.try_get(1)?, row.try_get(2)?);
            Ok((number, Some((number, event))))
        };
        let (branch, last) = self.read(head, |_| Ok(()), last).await?;
        Ok(Position::of(branch, last.first().copied().unwrap_or_default()))
    }

    async fn find_key(&self, account: AccountId, key: &str) -> Result<Option<UsedKey>, LoadError> {
        let find = "select l.branch, k.* from (select log_branch($1, $2) as branch offset 0) l left join lateral (\
             select i.fingerprint, i.result, i.position, e.event_id from idempotency_keys i left join events e using (position) \
             where i.account_id = $3 and i.key = $4) k on true";
        let bind = |bound: &mut PgArguments| {
            bound.add(account.0)?;
            bound.add(key)
        };
        let used = |row: &PgRow, branch| {
            let (number, event): (i64, Option<Uuid>) = (row.try_get(3)?, row.try_get(4)?);
            let used = UsedKey {
                fingerprint: row.try_get(1)?,
                result: row.try_get(2)?,
                position: Position::of(branch, number),
            };
            Ok((used, event.map(|event| (number, event))))
        };
        let (_, used) = self.read(find, bind, used).await?;
        Ok(used.into_iter().next())
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
