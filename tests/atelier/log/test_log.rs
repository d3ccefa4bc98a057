//! A log for one test: nodes over the test's own database, and what a test does to them from outside.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use atelier_commands::event_store::{Append, EventStore, PostgresEventStore, WriterOptions};
use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor, FromRow, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::appends::Verdict;
use crate::harness::TestDatabase;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The lock that `append_events` takes first.
const APPEND_LOCK: i64 = 4_713_951_028_541;

/// A log and its nodes.
pub struct TestLog {
    /// Where it is.
    pub database: TestDatabase,
    /// The nodes' writers.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// An event as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LogRow {
    pub position: i64,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_id: Uuid,
    pub recorded_at: DateTime<Utc>,
}

/// An append that has been queued and not yet been answered.
pub type Queued = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "still not so: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Queues an append: it stands in the node's queue when this returns.
pub async fn queued(node: &Arc<PostgresEventStore>, append: Append) -> Queued {
    let node = node.clone();
    let mut answer: Queued = Box::pin(async move { node.append(append).await });
    assert!(futures::poll!(&mut answer).is_pending(), "it was answered at once");
    answer
}

impl TestLog {
    /// An empty log.
    pub async fn fresh() -> Self {
        Self { database: TestDatabase::fresh().await, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// A node with a writer connection of its own.
    pub fn node(&self) -> Arc<PostgresEventStore> {
        self.node_with(WriterOptions::default())
    }

    /// A node with these bounds.
    pub fn node_with(&self, options: WriterOptions) -> Arc<PostgresEventStore> {
        self.node_at(&self.database.url, options)
    }

    /// A node that appends by another way.
    pub fn node_at(&self, url: &str, options: WriterOptions) -> Arc<PostgresEventStore> {
        let pool = self.database.pool.clone();
        Arc::new(PostgresEventStore::start(pool, url, options, &self.tasks, self.stop.clone()).expect("a good URL"))
    }

    /// Waits until every writer has ended.
    pub async fn ended(&self) {
        self.tasks.close();
        timeout(PATIENCE, self.tasks.wait()).await.expect("the writers end");
    }

    /// Takes the append lock, so that whatever is appended waits.
    pub async fn hold(&self) -> HeldLock {
        HeldLock::take(&self.database.url).await
    }

    /// The backends that wait for the append lock.
    pub async fn blocked(&self) -> Vec<i32> {
        let waiting = "select pid from pg_locks where locktype = 'advisory' and not granted \
                       and database = (select oid from pg_database where datname = current_database()) order by pid";
        sqlx::query_scalar(waiting).fetch_all(&self.database.pool).await.expect("the locks can be listed")
    }

    /// Waits until this many backends wait for the append lock.
    pub async fn until_blocked(&self, backends: usize) {
        until("backends wait for the append lock", async || self.blocked().await.len() == backends).await;
    }

    /// Ends the backends of all nodes' writers; how many there were.
    pub async fn terminate_writers(&self) -> i64 {
        let mut superuser = self.superuser().await;
        let terminate = "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity \
                         where application_name = 'atelier-append' and datname = current_database()";
        sqlx::query_scalar(terminate).fetch_one(&mut superuser).await.expect("the superuser may")
    }

    /// Ends the backend of one node's writer, whichever has been at it for longest; how many there were.
    pub async fn terminate_one_writer(&self) -> i64 {
        let mut superuser = self.superuser().await;
        let terminate = "select count(*) filter (where pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
                         where application_name = 'atelier-append' and datname = current_database() and state = 'active' \
                         order by query_start limit 1) busy";
        sqlx::query_scalar(terminate).fetch_one(&mut superuser).await.expect("the superuser may")
    }

    /// A connection of the superuser.
    pub async fn superuser(&self) -> PgConnection {
        PgConnection::connect(&self.database.superuser_url).await.expect("the superuser connects")
    }

    /// Lets this database take new connections, or not.
    pub async fn allow_connections(&self, allow: bool) {
        let name: String = sqlx::query_scalar("select current_database()")
            .fetch_one(&self.database.pool)
            .await
            .expect("a database has a name");
        let elsewhere = self.database.superuser_url.replace(&format!("/{name}?"), "/postgres?");
        let mut superuser = PgConnection::connect(&elsewhere).await.expect("the superuser connects");
        let alter = format!("alter database {name} allow_connections {allow}");
        superuser.execute(alter.as_str()).await.expect("the superuser may");
    }

    /// The whole log, by position.
    pub async fn rows(&self) -> Vec<LogRow> {
        let all = "select position, aggregate_id, sequence, event_id, recorded_at from events order by position";
        sqlx::query_as(all).fetch_all(&self.database.pool).await.expect("the log can be read")
    }

    /// The ids of all events, by position; positions are dense from 1.
    pub async fn dense_ids(&self) -> Vec<Uuid> {
        let rows = self.rows().await;
        let dense = rows.iter().zip(1..).all(|(row, position)| row.position == position);
        assert!(dense, "positions are not dense: {rows:?}");
        rows.into_iter().map(|row| row.event_id).collect()
    }
}

/// The append lock, held.
pub struct HeldLock(PgConnection);

impl HeldLock {
    /// Takes it in the database of this URL, when its turn comes.
    pub async fn take(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.expect("the application connects");
        let lock = sqlx::query("select pg_advisory_lock($1)").bind(APPEND_LOCK);
        lock.execute(&mut connection).await.expect("the lock is given");
        Self(connection)
    }

    /// Lets go.
    pub async fn release(mut self) {
        let unlock = sqlx::query("select pg_advisory_unlock($1)").bind(APPEND_LOCK);
        unlock.execute(&mut self.0).await.expect("the lock is ours");
    }
}
