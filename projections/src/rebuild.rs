//! Rebuild without downtime: a read model is built again beside its serving rows, compared with them, and takes over (DESIGN 5).
//!
//! A read model has two places. The checkpoint says which of them serves, every reader finds that in its own snapshot, and the
//! checkpoint's fence contains it. So a takeover is one update of one row: who began to read before it reads the old place to the
//! end, who comes after it the new one, and a batch of a follower that began before it writes nothing.
//!
//! The build is driven by whoever asks for it. Each of its steps moves the position in `rebuilds` and its rows together; a new
//! attempt takes that row over, and the older one, alive or not, cannot write any more. Killed at any moment it leaves the serving
//! rows as they were, and asking again starts afresh.
//!
//! A **new version** has tables of its own. It needs no rebuild: its release follows it from the first event, a node of that
//! release answers with `STALE_READ` and is not ready until it has been at the head once, and the nodes of the old release follow
//! and answer from the old version as long as they live. What no node has followed for a minute, and a newer serving version
//! replaces, `atelier projections prune` drops. `read_models.<table>` shows the serving place of a version, and
//! `analytics.<name>` the newest version that serves.

use std::collections::BTreeSet;

use atelier_log::Expected;
use futures::StreamExt;
use sqlx::{PgConnection, Postgres, Row, Transaction};

use crate::place::{self, Place};
use crate::quarantine::{self, STATE, Slot};
use crate::replay::{Replay, ReplayError};
use crate::runner::{Projection, Runner};

mod compare;
mod fold;

pub use compare::ComparedTable;

/// How many rows of the old place are removed in one transaction.
const CLEARED: i64 = 10_000;
/// The most subjects that a build may leave out and what serves does not.
const LEFT_OUT: i64 = 3;

/// Why a rebuild did not take over. What served goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no read model of this name.
    #[error("there is no read model named {0}")]
    Unknown(String),
    /// Somebody has begun another rebuild of it, or the log has become another one.
    #[error("another rebuild of it has begun, or the database has become another one; try again")]
    Overtaken,
    /// The fold's SQL is wrong.
    #[error("the fold fails at the events up to {position}: {error}")]
    Broken {
        /// Up to where the batch went.
        position: i64,
        /// Why; structure only.
        error: String,
    },
    /// It would put accounts in quarantine that are served.
    #[error("the build leaves out {0} accounts that are served: correct the fold first; what served goes on serving")]
    LeavesOut(i64),
    /// The log could not be read back.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What has taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The position at which it took over.
    pub position: i64,
    /// The old rows and the new ones of each table, both at this position; none when the old ones stood elsewhere.
    pub tables: Vec<ComparedTable>,
    /// How many accounts, or streams without one, it has in quarantine: these it did not fold.
    pub left_out: i64,
}

/// A build under way.
struct Attempt<'a> {
    runner: &'a Runner,
    projection: &'a dyn Projection,
    replay: Replay,
    number: i64,
    place: Place,
    position: i64,
    /// The log that is folded.
    log: Expected,
    /// The subjects in quarantine, as they are stored. Only this attempt writes them.
    left_out: BTreeSet<String>,
}

impl Runner {
    /// Builds a read model again from the first event, beside the one that serves, and lets it take over. `watch` is told the
    /// build's position and where it goes to after every step.
    ///
    /// # Errors
    /// A [`RebuildError`]; what served goes on serving, and asking again starts afresh.
    pub async fn rebuild(&self, name: &str, mut watch: impl FnMut(i64, i64) + Send) -> Result<Rebuilt, RebuildError> {
        let projection = self.projections.iter().find(|p| p.name() == name && !p.tables().is_empty());
        let projection = projection.ok_or_else(|| RebuildError::Unknown(name.to_owned()))?.as_ref();
        let mut attempt = Attempt::begin(self, projection).await?;
        attempt.clear().await?;
        loop {
            let to = attempt.goal().await?;
            attempt.catch_up(to, &mut watch).await?;
            if let Some(rebuilt) = attempt.take_over().await? {
                attempt.place = attempt.place.other();
                attempt.clear().await?;
                attempt.end().await?;
                return Ok(rebuilt);
            }
        }
    }
}

impl<'a> Attempt<'a> {
    /// Takes the build of this model over from whoever was at it.
    async fn begin(runner: &'a Runner, projection: &'a dyn Projection) -> Result<Self, RebuildError> {
        let log = runner.feed.log().expected().await?;
        let begin = "insert into rebuilds (name, version, attempt, place, position, state, started_at) \
                     select name, version, nextval('rebuild_attempts'), case place when 'a' then 'b' else 'a' end, 0, 'building', clock_timestamp() \
                     from checkpoints where name = $1 and version = $2 for update \
                     on conflict (name, version) do update set attempt = excluded.attempt, place = excluded.place, position = 0, \
                     state = 'building', started_at = excluded.started_at \
                     returning attempt, place";
        let row = sqlx::query(begin)
            .bind(projection.name())
            .bind(projection.version())
            .fetch_optional(&runner.pool)
            .await?
            .ok_or_else(|| RebuildError::Unknown(projection.name().to_owned()))?;
        let (number, place) = (row.try_get(0)?, Place::of(row.try_get(1)?));
        let (replay, left_out) = (Replay::new(runner.pool.clone()), BTreeSet::new());
        Ok(Self { runner, projection, replay, number, place, position: 0, log, left_out })
    }

    /// A transaction in the attempt's place that is fenced: it has the row of the build, at this position.
    async fn step(&self, to: i64, durable: bool) -> Result<Transaction<'static, Postgres>, RebuildError> {
        let mut transaction = place::begin(&self.runner.pool, self.place, self.runner.options.bound, durable).await?;
        self.fence(&mut transaction, to).await?;
        Ok(transaction)
    }

    async fn fence(&self, connection: &mut PgConnection, to: i64) -> Result<(), RebuildError> {
        let fence = "update rebuilds set position = $5 where name = $1 and version = $2 and attempt = $3 and position = $4 \
             and log_branch($7, $8) = $6";
        let moved = sqlx::query(fence)
            .bind(self.projection.name())
            .bind(self.projection.version())
            .bind(self.number)
            .bind(self.position)
            .bind(to)
            .bind(self.log.branch.0)
            .bind(self.log.position)
            .bind(self.log.event)
            .execute(connection)
            .await?;
        if moved.rows_affected() == 1 { Ok(()) } else { Err(RebuildError::Overtaken) }
    }

    fn slot(&self) -> Slot {
        Slot::of(self.projection, self.place)
    }

    /// Removes every row of the attempt's place, piece by piece. Nobody reads them but who began to before a takeover, and those
    /// keep what their snapshot holds.
    async fn clear(&self) -> Result<(), RebuildError> {
        let mut transaction = self.step(self.position, true).await?;
        quarantine::clear(&mut transaction, self.slot()).await?;
        transaction.commit().await?;
        for table in self.projection.tables() {
            let piece =
                format!("delete from {table} where ctid = any(array(select ctid from {table} limit {CLEARED}))");
            loop {
                let mut transaction = self.step(self.position, false).await?;
                let removed = sqlx::query(&piece).execute(&mut *transaction).await?.rows_affected();
                transaction.commit().await?;
                if removed == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Where the serving rows are, so that both can be compared; beyond a stop, to the head of the log.
    async fn goal(&self) -> Result<i64, RebuildError> {
        let goal = "select case state when 'stopped' then (select coalesce(max(position), 0) from events) else position end \
                    from checkpoints where name = $1 and version = $2";
        let goal = sqlx::query_scalar(goal).bind(self.projection.name()).bind(self.projection.version());
        Ok(goal.fetch_one(&self.runner.pool).await?)
    }

    /// Folds everything up to this position.
    async fn catch_up(&mut self, to: i64, watch: &mut (impl FnMut(i64, i64) + Send)) -> Result<(), RebuildError> {
        let mut ranges = Box::pin(self.replay.envelopes(self.position + 1..=to));
        while let Some(range) = ranges.next().await.transpose()? {
            for events in range.in_order().chunks(self.runner.options.batch) {
                self.fold(events).await?;
                watch(self.position, to);
            }
        }
        Ok(())
    }

    /// Holds the followers of the model off for a moment, folds the last few events, compares, and takes over; or, when there is
    /// still too much to fold, does nothing.
    async fn take_over(&mut self) -> Result<Option<Rebuilt>, RebuildError> {
        let bound = self.runner.options.bound;
        let mut transaction = place::begin(&self.runner.pool, self.place, bound, true).await?;
        let hold = "select position from checkpoints where name = $1 and version = $2 and place = $3 for update";
        let served: Option<i64> = sqlx::query_scalar(hold)
            .bind(self.projection.name())
            .bind(self.projection.version())
            .bind(self.place.other().as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let served = served.ok_or(RebuildError::Overtaken)?;
        let behind = served - self.position;
        if usize::try_from(behind).is_ok_and(|behind| behind > self.runner.options.batch) {
            return Ok(None);
        }
        let position = served.max(self.position);
        self.fence(&mut transaction, position).await?;
        if behind > 0 && !self.fold_last(&mut transaction, position).await? {
            // In steps of its own, each with its quarantine; then again.
            transaction.rollback().await?;
            self.catch_up(position, &mut |_, _| {}).await?;
            return Ok(None);
        }
        let (left_out, newly) = quarantine::newly_left_out(&mut transaction, self.slot()).await?;
        if newly > LEFT_OUT {
            return Err(RebuildError::LeavesOut(newly));
        }
        // A model that had stopped is behind the build; then there is nothing to compare at one position.
        let tables = if served == position { self.compare(&mut transaction).await? } else { Vec::new() };
        quarantine::clear(&mut transaction, Slot::of(self.projection, self.place.other())).await?;
        let take = "update checkpoints set place = $3, position = $4, serving = true where name = $1 and version = $2";
        sqlx::query(take)
            .bind(self.projection.name())
            .bind(self.projection.version())
            .bind(self.place.as_str())
            .bind(position)
            .execute(&mut *transaction)
            .await?;
        let goes_on = format!(
            "update checkpoints c set state = {STATE}, error = null, failed_position = null where name = $1 and version = $2"
        );
        let goes_on = sqlx::query(&goes_on).bind(self.projection.name()).bind(self.projection.version());
        goes_on.execute(&mut *transaction).await?;
        let clearing = "update rebuilds set state = 'clearing', place = $3 where name = $1 and version = $2";
        sqlx::query(clearing)
            .bind(self.projection.name())
            .bind(self.projection.version())
            .bind(self.place.other().as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.position = position;
        Ok(Some(Rebuilt { position, tables, left_out }))
    }

    async fn end(self) -> Result<(), RebuildError> {
        let end = "delete from rebuilds where name = $1 and version = $2 and attempt = $3";
        sqlx::query(end)
            .bind(self.projection.name())
            .bind(self.projection.version())
            .bind(self.number)
            .execute(&self.runner.pool)
            .await?;
        Ok(())
    }
}
