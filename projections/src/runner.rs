//! The runner: follows the feed for every projection; rows and checkpoint move in one transaction, exactly once on any number of nodes.
//!
//! Every node follows for every projection. What makes it exactly once is the fence: a batch first moves the checkpoint from where
//! it was, and whoever finds it elsewhere writes nothing. A lock that lives as long as the transaction only saves the others the
//! work. When the holder dies, its transaction and so its lock die with its connection, and the next node goes on. A holder that
//! is frozen, or cut off without a word, is ended: by the database once its transaction has stood still for
//! [`RunnerOptions::bound`], and by the next node a second later whatever it stands in. Its commit then comes too late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::Envelope;
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::feed::{Feed, Poison, position_as_f64};
use crate::place::{self, Place};
use crate::stops::{is_poison, poison};

/// A batch of so many events says that more are on their way.
const BUSY: usize = 16;
/// How long, for each event of such a batch, a follower then waits for the next one to grow: a bigger batch is less work.
const GATHER: Duration = Duration::from_micros(200);
/// How long it waits at most.
const GATHER_MOST: Duration = Duration::from_millis(100);
/// How often it looks meanwhile whether somebody waits for what it would apply.
const GATHER_LOOK: Duration = Duration::from_millis(5);
/// How much longer than the bound a holder may stand before it is ended by another node.
const GRACE: Duration = Duration::from_secs(1);

/// What follows the log: a read model, or a process manager hung on by the composition root.
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// Its name in checkpoints, metrics and the command line.
    fn name(&self) -> &'static str;

    /// Raised when its rows change shape or meaning; a new version has its own tables.
    fn version(&self) -> i32;

    /// Its tables, without their schema, for a rebuild; empty when a rebuild makes no sense.
    fn tables(&self) -> &'static [&'static str];

    /// Whether its rows are facts of their own, which must survive a crash of the database. Rows that can be folded again need not.
    fn durable(&self) -> bool {
        false
    }

    /// Folds a batch into its rows, by the bare names of its tables. No clock, no serials, no random ids: the same events give the
    /// same bytes, however they are cut into batches.
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
    /// How long a statement of a fold may run, or its transaction stand still, before the database ends it (DESIGN 3: 5 s).
    pub bound: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self { batch: 4_000, rest: Duration::from_millis(500), bound: Duration::from_secs(5) }
    }
}

/// Where each projection is, as far as this node knows.
pub type Progress = BTreeMap<&'static str, watch::Sender<i64>>;

/// Follows the feed for every projection.
pub struct Runner {
    pub(crate) pool: PgPool,
    pub(crate) feed: Arc<Feed>,
    pub(crate) projections: Vec<Arc<dyn Projection>>,
    pub(crate) options: RunnerOptions,
    progress: Arc<Progress>,
    advanced: watch::Sender<()>,
    node: OnceCell<Uuid>,
}

enum Step {
    /// So many events further; there may be more.
    Moved(usize),
    /// At the head.
    AtHead,
    /// Another node is moving it on from this position.
    Held(i64),
    /// It is stopped.
    Stopped,
    /// The next event cannot be applied.
    Poisoned(Poison),
}

/// A checkpoint's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Here {
    position: i64,
    running: bool,
    place: Place,
    holder: Option<Uuid>,
}

impl Runner {
    /// A runner for these projections.
    #[must_use]
    pub fn new(pool: PgPool, feed: Arc<Feed>, projections: Vec<Arc<dyn Projection>>, options: RunnerOptions) -> Self {
        let progress = projections.iter().map(|p| (p.name(), watch::Sender::new(0))).collect();
        let (progress, advanced) = (Arc::new(progress), watch::Sender::new(()));
        Self { pool, feed, projections, options, progress, advanced, node: OnceCell::new() }
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

    /// Changes whenever a projection may have moved, as far as this node knows. Nobody is thereby waited for.
    pub(crate) fn advanced(&self) -> watch::Receiver<()> {
        self.advanced.subscribe()
    }

    /// How far a projection is, as far as this node knows; `None` for one it does not follow, or has not looked at yet.
    pub(crate) fn reached(&self, name: &str) -> Option<i64> {
        self.progress.get(name).map(|progress| *progress.borrow()).filter(|position| *position > 0)
    }

    /// This node's id among the followers: random, drawn by the database.
    pub(crate) async fn node(&self) -> Result<Uuid, sqlx::Error> {
        let draw = || sqlx::query_scalar("select gen_random_uuid()").fetch_one(&self.pool);
        self.node.get_or_try_init(draw).await.copied()
    }

    /// Makes sure that every projection has a checkpoint. A version that begins over an old log does not serve before it was at the head.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn register(&self) -> Result<(), sqlx::Error> {
        for projection in &self.projections {
            // A follower without tables asks for work: over an old log it starts where its last version is, or at the head, because
            // asking for all of history's work again would be wrong (DESIGN 4).
            let start = "insert into checkpoints (name, version, position, serving) values ($1, $2, case when $3 then \
                 coalesce((select max(position) from checkpoints where name = $1), (select max(position) from events), 0) else 0 end, \
                 $3 or not exists (select from events)) on conflict do nothing";
            sqlx::query(start)
                .bind(projection.name())
                .bind(projection.version())
                .bind(projection.tables().is_empty())
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    /// Starts one task for each projection, one for the head of the log, one that reports; they end when `stop` is cancelled.
    pub fn start(self: Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (feed, stopped) = (self.feed.clone(), stop.clone());
        tasks.spawn(async move { feed.watch_head(&stopped).await });
        let (runner, stopped) = (self.clone(), stop.clone());
        tasks.spawn(async move { runner.attend(&stopped).await });
        for projection in self.projections.clone() {
            let (runner, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { runner.follow(projection.as_ref(), &stop).await });
        }
    }

    async fn follow(&self, projection: &dyn Projection, stop: &CancellationToken) {
        let mut head = self.feed.head();
        let mut batch = self.options.batch;
        let (mut known, mut held) = (None, None);
        while !stop.is_cancelled() {
            head.mark_unchanged();
            match self.step(projection, batch, &mut known).await {
                Ok(Step::Moved(events)) => {
                    if (BUSY..batch).contains(&events) {
                        self.gather(projection, events, stop).await;
                    }
                    batch = (batch * 2).min(self.options.batch);
                    held = None;
                }
                Ok(Step::AtHead) => tokio::select! {
                    _ = head.changed() => {}
                    // An operator, or another node, may have moved the checkpoint.
                    () = tokio::time::sleep(self.options.rest) => known = None,
                    () = stop.cancelled() => {}
                },
                Ok(Step::Held(position)) => {
                    self.end_frozen_holder(projection, position, &mut held).await;
                    rest(self.options.rest, stop).await;
                }
                Ok(Step::Stopped) => rest(self.options.rest, stop).await,
                Ok(Step::Poisoned(poison)) => self.stop_projection(projection, &poison).await,
                Err(error) if is_poison(&error) && batch > 1 => batch = 1,
                Err(error) if is_poison(&error) => {
                    let position = self.here(projection).await.map_or(0, |here| here.position) + 1;
                    self.stop_projection(projection, &poison(position, &error)).await;
                }
                Err(error) => {
                    tracing::warn!(projection = projection.name(), %error, "a projection could not move; trying again");
                    // Perhaps it was too much for one transaction.
                    batch = (batch / 2).max(1);
                    rest(self.options.rest, stop).await;
                }
            }
        }
    }

    /// Lets the next batch grow, unless a reader waits for it.
    async fn gather(&self, projection: &dyn Projection, events: usize, stop: &CancellationToken) {
        let waits = u32::try_from(events).map_or(GATHER_MOST, |events| (GATHER * events).min(GATHER_MOST));
        let until = Instant::now() + waits;
        let awaited = || self.progress.get(projection.name()).is_some_and(|progress| progress.receiver_count() > 0);
        while Instant::now() < until && !awaited() && !stop.is_cancelled() {
            rest(GATHER_LOOK.min(until - Instant::now()), stop).await;
        }
    }

    async fn here(&self, projection: &dyn Projection) -> Result<Here, sqlx::Error> {
        let here =
            "select position, state = 'running', place, holder from checkpoints where name = $1 and version = $2";
        let row = sqlx::query(here).bind(projection.name()).bind(projection.version()).fetch_one(&self.pool).await?;
        let place = Place::of(row.try_get(2)?);
        Ok(Here { position: row.try_get(0)?, running: row.try_get(1)?, place, holder: row.try_get(3)? })
    }

    /// Takes up to `limit` events further. `known` is the checkpoint as this node left it; the fence finds out when it is wrong.
    async fn step(
        &self,
        projection: &dyn Projection,
        limit: usize,
        known: &mut Option<Here>,
    ) -> Result<Step, sqlx::Error> {
        let here = match known.take() {
            Some(here) => here,
            None => self.here(projection).await?,
        };
        self.report(projection, here.position);
        if !here.running {
            let goes_on = self.try_stopped(projection, here.position).await?;
            return Ok(if goes_on { Step::Moved(0) } else { Step::Stopped });
        }
        let batch = self.feed.after(here.position, limit).await?;
        let Some(last) = batch.events.last() else {
            *known = Some(here);
            return Ok(batch.poison.map_or(Step::AtHead, Step::Poisoned));
        };
        let node = self.node().await?;
        let started = Instant::now();
        let mut transaction = place::begin(&self.pool, here.place, self.options.bound, projection.durable()).await?;
        // The place is part of the fence: a build that took over has another one. The lock only saves work.
        let fence = "update checkpoints set position = $4, holder = $6 where name = $1 and version = $2 and position = $3 \
                     and place = $5 and state = 'running' and pg_try_advisory_xact_lock(hashtext($1), $2)";
        let fence = sqlx::query(fence)
            .bind(projection.name())
            .bind(projection.version())
            .bind(here.position)
            .bind(last.position)
            .bind(here.place.as_str())
            .bind(node)
            .execute(&mut *transaction)
            .await?;
        if fence.rows_affected() != 1 {
            transaction.rollback().await?;
            let there = self.here(projection).await?;
            return Ok(if there == here { Step::Held(here.position) } else { Step::Moved(0) });
        }
        projection.apply(&mut transaction, &batch.events).await?;
        transaction.commit().await?;
        projection.committed();
        self.moved(projection, &here, batch.events.len(), node, started.elapsed());
        *known = Some(Here { position: last.position, holder: Some(node), ..here });
        Ok(Step::Moved(batch.events.len()))
    }

    /// Counts a batch.
    fn moved(&self, projection: &dyn Projection, from: &Here, events: usize, node: Uuid, took: Duration) {
        let name = projection.name();
        self.report(projection, from.position + i64::try_from(events).unwrap_or_default());
        metrics::counter!("atelier_projection_events_total", "projection" => name).increment(events as u64);
        metrics::histogram!("atelier_projection_batch_events", "projection" => name)
            .record(u32::try_from(events).map_or(f64::MAX, f64::from));
        metrics::histogram!("atelier_projection_apply_seconds", "projection" => name).record(took);
        if from.holder.is_some_and(|holder| holder != node) {
            metrics::counter!("atelier_projection_takeovers_total", "projection" => name).increment(1);
        }
    }

    /// Ends a holder whose transaction has stood longer than the database's own bounds should have let it: a frozen process that
    /// was being sent something runs into none of them. `since` is from when on it was seen at this position.
    async fn end_frozen_holder(&self, projection: &dyn Projection, position: i64, since: &mut Option<(i64, Instant)>) {
        let limit = self.options.bound + GRACE;
        match since {
            Some((at, seen)) if *at == position && seen.elapsed() >= limit => {}
            Some((at, _)) if *at == position => return,
            _ => {
                *since = Some((position, Instant::now()));
                return;
            }
        }
        let end = "select count(pg_terminate_backend(l.pid)) from pg_locks l join pg_stat_activity a using (pid) \
                   where l.locktype = 'advisory' and l.granted and l.database = a.datid and a.datname = current_database() \
                   and l.classid::bigint = hashtext($1)::bigint & 4294967295 and l.objid::bigint = $2 and l.objsubid = 2 \
                   and a.xact_start < clock_timestamp() - make_interval(secs => $3)";
        let ended = sqlx::query_scalar::<_, i64>(end)
            .bind(projection.name())
            .bind(projection.version())
            .bind(limit.as_secs_f64())
            .fetch_one(&self.pool)
            .await;
        match ended {
            Ok(0) => {}
            Ok(_) => tracing::warn!(projection = projection.name(), position, "a frozen holder was ended"),
            Err(error) => tracing::warn!(projection = projection.name(), %error, "a frozen holder could not be ended"),
        }
        *since = None;
    }

    fn report(&self, projection: &dyn Projection, position: i64) {
        let progress = self.progress.get(projection.name());
        let moved = |progress: &watch::Sender<i64>| {
            progress.send_if_modified(|known| std::mem::replace(known, position) != position)
        };
        if progress.is_some_and(moved) {
            self.advanced.send_replace(());
        }
        let lag = (*self.feed.head().borrow() - position).max(0);
        metrics::gauge!("atelier_projection_lag_events", "projection" => projection.name()).set(position_as_f64(lag));
    }
}

async fn rest(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}
