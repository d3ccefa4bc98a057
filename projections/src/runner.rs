//! The runner: follows the feed for every projection; rows and checkpoint move in one transaction, exactly once on any number of nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::Envelope;
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::feed::{Feed, Poison, UNDECODABLE, position_as_f64};

/// What follows the log: a read model, or a process manager hung on by the composition root.
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// Its name in checkpoints, metrics and the command line.
    fn name(&self) -> &'static str;

    /// Raised when its rows change shape or meaning; a new version has its own tables.
    fn version(&self) -> i32;

    /// Its tables, for a rebuild; empty when a rebuild makes no sense.
    fn tables(&self) -> &'static [&'static str];

    /// Whether its rows are facts of their own, which must survive a crash of the database. Rows that can be folded again need not.
    fn durable(&self) -> bool {
        false
    }

    /// Folds a batch into its rows. No clock, no serials, no random ids: the same events give the same bytes.
    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error>;

    /// Called after a batch was committed.
    fn committed(&self) {}
}

/// The runner's bounds.
#[derive(Debug, Clone, Copy)]
pub struct RunnerOptions {
    /// The most events of one transaction.
    pub batch: usize,
    /// How long a projection rests when another node holds it, when it is stopped, or when the database failed.
    pub rest: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self { batch: 500, rest: Duration::from_millis(500) }
    }
}

/// Where each projection is, as far as this node knows.
pub type Progress = BTreeMap<&'static str, watch::Sender<i64>>;

/// Follows the feed for every projection.
pub struct Runner {
    pool: PgPool,
    feed: Arc<Feed>,
    projections: Vec<Arc<dyn Projection>>,
    options: RunnerOptions,
    progress: Arc<Progress>,
}

enum Step {
    /// Moved to this position; there may be more.
    Moved,
    /// At the head.
    AtHead,
    /// Somebody else holds it, or it is stopped.
    Resting,
    /// The next event cannot be applied.
    Poisoned(Poison),
}

impl Runner {
    /// A runner for these projections.
    #[must_use]
    pub fn new(pool: PgPool, feed: Arc<Feed>, projections: Vec<Arc<dyn Projection>>, options: RunnerOptions) -> Self {
        let progress = projections.iter().map(|p| (p.name(), watch::Sender::new(0))).collect();
        Self { pool, feed, projections, options, progress: Arc::new(progress) }
    }

    /// The names and versions of what this runner follows for.
    pub fn followers(&self) -> impl Iterator<Item = (&'static str, i32)> + '_ {
        self.projections.iter().map(|projection| (projection.name(), projection.version()))
    }

    /// Where each projection is, for those who wait for one.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Makes sure that every projection has a checkpoint.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn register(&self) -> Result<(), sqlx::Error> {
        for projection in &self.projections {
            // A follower without tables asks for work: over an old log it starts where its last version is, or at the head, because
            // asking for all of history's work again would be wrong (DESIGN 4).
            let start = "insert into checkpoints (name, version, position) values ($1, $2, case when $3 then \
                 coalesce((select max(position) from checkpoints where name = $1), (select max(position) from events), 0) else 0 end) \
                 on conflict do nothing";
            sqlx::query(start)
                .bind(projection.name())
                .bind(projection.version())
                .bind(projection.tables().is_empty())
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    /// Starts one task for each projection and one for the head of the log; they end when `stop` is cancelled.
    pub fn start(self: Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (feed, stopped) = (self.feed.clone(), stop.clone());
        tasks.spawn(async move { feed.watch_head(&stopped).await });
        for projection in self.projections.clone() {
            let (runner, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { runner.follow(projection.as_ref(), &stop).await });
        }
    }

    async fn follow(&self, projection: &dyn Projection, stop: &CancellationToken) {
        let mut head = self.feed.head();
        let mut batch = self.options.batch;
        while !stop.is_cancelled() {
            head.mark_unchanged();
            match self.step(projection, batch).await {
                Ok(Step::Moved) => batch = (batch * 2).min(self.options.batch),
                Ok(Step::AtHead) => tokio::select! {
                    _ = head.changed() => {}
                    // An operator, or another node, may have moved the checkpoint.
                    () = tokio::time::sleep(self.options.rest) => {}
                    () = stop.cancelled() => {}
                },
                Ok(Step::Resting) => self.rest(stop).await,
                Ok(Step::Poisoned(poison)) => self.stop_projection(projection, &poison).await,
                Err(error) if is_poison(&error) && batch > 1 => batch = 1,
                Err(error) if is_poison(&error) => {
                    let position = self.checkpoint(projection).await.map_or(0, |(position, _)| position) + 1;
                    // The code and the constraint, never the message: it may quote a row.
                    let error = error.as_database_error().map_or_else(
                        || "the row could not be converted".to_owned(),
                        |e| format!("SQLSTATE {} {}", e.code().unwrap_or_default(), e.constraint().unwrap_or_default()),
                    );
                    self.stop_projection(projection, &Poison { position, error }).await;
                }
                Err(error) => {
                    tracing::warn!(projection = projection.name(), %error, "a projection could not move; trying again");
                    self.rest(stop).await;
                }
            }
        }
    }

    async fn rest(&self, stop: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(self.options.rest) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn checkpoint(&self, projection: &dyn Projection) -> Result<(i64, bool), sqlx::Error> {
        let row = sqlx::query("select position, state = 'running' from checkpoints where name = $1 and version = $2")
            .bind(projection.name())
            .bind(projection.version())
            .fetch_one(&self.pool)
            .await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    async fn step(&self, projection: &dyn Projection, batch: usize) -> Result<Step, sqlx::Error> {
        let (position, running) = self.checkpoint(projection).await?;
        self.report(projection, position);
        if !running {
            return self.try_stopped(projection, position).await;
        }
        let batch = self.feed.after(position, batch).await?;
        let Some(last) = batch.events.last() else {
            return Ok(batch.poison.map_or(Step::AtHead, Step::Poisoned));
        };
        let mut transaction = self.pool.begin().await?;
        // The lock only saves work: the fence below is what makes it exactly once.
        let mine: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtext($1), $2)")
            .bind(projection.name())
            .bind(projection.version())
            .fetch_one(&mut *transaction)
            .await?;
        if !mine {
            return Ok(Step::Resting);
        }
        if !projection.durable() {
            sqlx::query("set local synchronous_commit = off").execute(&mut *transaction).await?;
        }
        let fence = sqlx::query(
            "update checkpoints set position = $4 where name = $1 and version = $2 and position = $3 and state = 'running'",
        )
        .bind(projection.name())
        .bind(projection.version())
        .bind(position)
        .bind(last.position)
        .execute(&mut *transaction)
        .await?;
        if fence.rows_affected() != 1 {
            return Ok(Step::Moved);
        }
        projection.apply(&mut transaction, &batch.events).await?;
        transaction.commit().await?;
        projection.committed();
        self.report(projection, last.position);
        metrics::counter!("atelier_projection_events_total", "projection" => projection.name())
            .increment(batch.events.len() as u64);
        Ok(Step::Moved)
    }

    /// A stop at an event that another release could not decode ends when a node comes that can: an old node must not hold a new
    /// one up. Any other stop waits for an operator.
    async fn try_stopped(&self, projection: &dyn Projection, position: i64) -> Result<Step, sqlx::Error> {
        let Some(next) = self.feed.after(position, 1).await?.events.first().map(|event| event.position) else {
            return Ok(Step::Resting);
        };
        let resumed = sqlx::query(
            "update checkpoints set state = 'running', error = null, failed_position = null \
             where name = $1 and version = $2 and position = $3 and state = 'stopped' and failed_position = $4 and error like $5",
        )
        .bind(projection.name())
        .bind(projection.version())
        .bind(position)
        .bind(next)
        .bind(format!("{UNDECODABLE}%"))
        .execute(&self.pool)
        .await?;
        Ok(if resumed.rows_affected() == 1 { Step::Moved } else { Step::Resting })
    }

    fn report(&self, projection: &dyn Projection, position: i64) {
        if let Some(progress) = self.progress.get(projection.name()) {
            progress.send_if_modified(|known| std::mem::replace(known, position) != position);
        }
        let lag = (*self.feed.head().borrow() - position).max(0);
        metrics::gauge!("atelier_projection_lag", "projection" => projection.name()).set(position_as_f64(lag));
    }

    async fn stop_projection(&self, projection: &dyn Projection, poison: &Poison) {
        tracing::error!(projection = projection.name(), position = poison.position, error = %poison.error, "a projection stopped");
        metrics::counter!("atelier_projection_stopped_total", "projection" => projection.name()).increment(1);
        let stopped = sqlx::query(
            "update checkpoints set state = 'stopped', error = $3, failed_position = $4 where name = $1 and version = $2 and state = 'running'",
        )
        .bind(projection.name())
        .bind(projection.version())
        .bind(&poison.error)
        .bind(poison.position)
        .execute(&self.pool)
        .await;
        if let Err(error) = stopped {
            tracing::warn!(%error, "a stopped projection could not be recorded; it will stop again");
        }
    }

    /// Empties a projection's tables and starts it from zero; its events fold into the same rows again.
    ///
    /// # Errors
    /// `RowNotFound` when there is no such projection or it cannot be rebuilt; else when the database failed.
    pub async fn rebuild(&self, name: &str) -> Result<(), sqlx::Error> {
        let projection = self.projections.iter().find(|p| p.name() == name && !p.tables().is_empty());
        let projection = projection.ok_or(sqlx::Error::RowNotFound)?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("update checkpoints set position = 0, state = 'running', error = null, failed_position = null where name = $1 and version = $2")
            .bind(projection.name())
            .bind(projection.version())
            .execute(&mut *transaction)
            .await?;
        for table in projection.tables() {
            sqlx::query(&format!("delete from {table}")).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Lets a stopped projection try again.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn retry(&self, name: &str) -> Result<bool, sqlx::Error> {
        let updated = sqlx::query(
            "update checkpoints set state = 'running', error = null, failed_position = null where name = $1 and state = 'stopped'",
        )
        .bind(name)
        .execute(&self.pool)
        .await?;
        Ok(updated.rows_affected() > 0)
    }
}

/// Whether the error is of the events or of the fold, and will come again: bad data, a broken constraint, a missing column.
fn is_poison(error: &sqlx::Error) -> bool {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) => ["22", "23", "42"].iter().any(|class| code.starts_with(class)),
        None => matches!(
            error,
            sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::ColumnNotFound(_)
        ),
    }
}
