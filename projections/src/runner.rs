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
use atelier_domain::{AccountId, Envelope};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::feed::{Feed, position_as_f64};
use crate::{forms, quarantine};

mod frozen;
mod step;
mod stops;

use step::Step;

/// A batch of so many events says that more are on their way.
const BUSY: usize = 16;
/// How long, for each event of such a batch, a follower then waits for the next one to grow: a bigger batch is less work.
const GATHER: Duration = Duration::from_micros(200);
/// How long it waits at most.
const GATHER_MOST: Duration = Duration::from_millis(100);
/// How often it looks meanwhile whether somebody waits for what it would apply.
const GATHER_LOOK: Duration = Duration::from_millis(5);

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

    /// Removes what it holds of an account, by the bare names of its tables, before the account's events are folded again or because it
    /// was erased.
    async fn forget(&self, connection: &mut PgConnection, account: AccountId) -> Result<(), sqlx::Error> {
        quarantine::forget_account(connection, self.tables(), account).await
    }

    /// Called after a batch was committed.
    fn committed(&self) {}
}

/// The runner's bounds.
#[derive(Debug, Clone, Copy)]
pub struct RunnerOptions {
    /// The most events of one transaction.
    pub batch: usize,
    /// How long a projection rests when another node holds it, or when the database failed. One that is stopped rests longer and longer.
    pub rest: Duration,
    /// How long a statement of a fold may run, or its transaction stand still, before the database ends it (DESIGN 3: 5 s).
    pub bound: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self { batch: 4_000, rest: Duration::from_millis(500), bound: Duration::from_secs(5) }
    }
}

/// The longest that a stopped projection rests before it is looked at again.
const STOPPED_REST: Duration = Duration::from_secs(5);

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
    /// Changes for a projection whose checkpoint has moved without this node.
    pub(crate) moved: BTreeMap<&'static str, watch::Sender<()>>,
    node: OnceCell<Uuid>,
}

impl Runner {
    /// A runner for these projections.
    #[must_use]
    pub fn new(pool: PgPool, feed: Arc<Feed>, projections: Vec<Arc<dyn Projection>>, options: RunnerOptions) -> Self {
        let progress = projections.iter().map(|p| (p.name(), watch::Sender::new(0))).collect();
        let (progress, advanced) = (Arc::new(progress), watch::Sender::new(()));
        let moved = projections.iter().map(|p| (p.name(), watch::Sender::new(()))).collect();
        Self { pool, feed, projections, options, progress, advanced, moved, node: OnceCell::new() }
    }

    /// The names and versions of what this runner follows for.
    pub fn followers(&self) -> impl Iterator<Item = (&'static str, i32)> + '_ {
        self.projections.iter().map(|projection| (projection.name(), projection.version()))
    }

    /// The last position of the log, as far as this node knows; changes whenever that moves.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<i64> {
        self.feed.head()
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

    /// Makes sure that every projection has a checkpoint, and says what this node decodes. A version that begins over an old log does not serve before it was at the head.
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
        forms::say(&self.pool, self.node().await?).await
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
        let mut stopped = self.options.rest;
        let mut moved = self.moved.get(projection.name()).map(watch::Sender::subscribe);
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
                    // An operator, or another node, has moved the checkpoint.
                    () = changed(&mut moved) => known = None,
                    () = stop.cancelled() => {}
                },
                Ok(Step::Held(position)) => {
                    self.end_frozen_holder(projection, position, &mut held).await;
                    rest(self.options.rest, stop).await;
                }
                Ok(Step::Stopped) => {
                    rest(stopped, stop).await;
                    stopped = (stopped * 2).min(STOPPED_REST.max(self.options.rest));
                    continue;
                }
                // One of these cannot be folded: closer to it.
                Ok(Step::Failed(events)) => batch = (events / 2).max(1),
                Err(error) => {
                    tracing::warn!(projection = projection.name(), %error, "a projection could not move; trying again");
                    // Perhaps it was too much for one transaction.
                    batch = (batch / 2).max(1);
                    rest(self.options.rest, stop).await;
                }
            }
            stopped = self.options.rest;
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

    pub(crate) fn report(&self, projection: &dyn Projection, position: i64) {
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

/// The next change; never for what cannot change.
async fn changed(moved: &mut Option<watch::Receiver<()>>) {
    let changed = match moved {
        Some(moved) => moved.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

async fn rest(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}
