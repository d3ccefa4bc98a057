//! Reading: one snapshot holds rows and checkpoints together, no older than the position the reader asks for (DESIGN 5, L29, U44).

mod begin;
mod error;
mod marks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::{AccountId, Sealed};
use atelier_log::{Branch, Expected, KnownLog, Position};
use atelier_vault::{BlindIndex, Opened, Vault};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{PgPool, Postgres, Row, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

pub use error::ReadError;

use crate::cursor::{Cursor, PositionToken};
use crate::models;
use crate::place::Place;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Progress;

/// How long a reader waits for its position before it is told the current one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the checkpoints are looked at while waiting; the node's own progress wakes it sooner.
const LOOK: Duration = Duration::from_millis(25);

/// How long a reader waits for a place among the snapshots; longer than all that have one may keep it.
const PLACE_WITHIN: Duration = Duration::from_secs(10);
/// How long one snapshot may be read from.
const SNAPSHOT_LIFE: Duration = Duration::from_secs(5);

/// The read side, for those who ask.
#[derive(Clone)]
pub struct ReadModels {
    pool: PgPool,
    vault: Vault,
    pub(crate) blind_index: BlindIndex,
    progress: Arc<Progress>,
    patience: Duration,
    /// The tables of this release's read models, each with its model and version.
    tables: Arc<BTreeMap<&'static str, (&'static str, i32)>>,
    log: Uuid,
    /// So many snapshots at once: half of the pool. Each keeps a connection while what is asked beside it needs others; were they to take
    /// all of them, they would wait for each other until all gave up.
    places: Arc<Semaphore>,
    known: Arc<KnownLog>,
}

/// Rows and checkpoints of one instant, of the read models it was asked for.
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    pub(crate) models: ReadModels,
    /// What the log was expected to be, and is.
    expected: Expected,
    position: i64,
    asked: BTreeMap<&'static str, Standing>,
    ends: Instant,
    /// Whether there is a mark to go back to.
    marked: bool,
    /// The last event of the log, when the position is that.
    head: Option<(i64, Uuid)>,
    _place: OwnedSemaphorePermit,
}

/// Where a read model is in a snapshot.
#[derive(Debug, Clone, Copy)]
struct Standing {
    position: i64,
    /// The event there; none before the first.
    event: Option<Uuid>,
    place: Place,
    /// Whether it answers: it was at the head once, and has reached the asked position.
    there: bool,
    /// The version whose rows are read, if it leaves an account out.
    partial: Option<i32>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items with their cursors.
    pub items: Vec<(String, T)>,
    /// Whether there are more after them.
    pub has_next: bool,
}

impl ReadModels {
    /// Opens the read side; `known` is what the node knows of the log.
    ///
    /// # Errors
    /// When the log's identity cannot be read.
    pub async fn open(
        pool: PgPool,
        vault: Vault,
        blind_index: BlindIndex,
        progress: Arc<Progress>,
        known: Arc<KnownLog>,
    ) -> Result<Self, sqlx::Error> {
        let log = sqlx::query_scalar("select log_id from log_identity").fetch_one(&pool).await?;
        let mut tables = BTreeMap::new();
        for model in models::all() {
            tables.extend(model.tables().iter().map(|table| (*table, (model.name(), model.version()))));
        }
        let half = usize::try_from(pool.options().get_max_connections() / 2).unwrap_or(1).max(1);
        let (tables, places) = (Arc::new(tables), Arc::new(Semaphore::new(half)));
        Ok(Self { pool, vault, blind_index, progress, patience: PATIENCE, tables, log, places, known })
    }

    /// The same read side, whose readers wait so long for their position.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The opaque form of a position.
    #[must_use]
    pub fn token(&self, position: Position) -> String {
        PositionToken::of(position).encode(self.log)
    }

    /// A snapshot of these read models, not older than the asked position; waits for it, within bounds.
    ///
    /// # Errors
    /// `Stale` with the current position when one of them does not get there; `PositionUnknown` for a foreign, lost or
    /// future position.
    pub async fn snapshot(&self, models: &[&'static str], min_position: Option<&str>) -> Result<Snapshot, ReadError> {
        let snapshot = self.snapshot_of_those_there(models, min_position).await?;
        match snapshot.least(|standing| !standing.there) {
            Some(current) => Err(ReadError::Stale { current: snapshot.at(current) }),
            None => Ok(snapshot),
        }
    }

    /// The same, but a read model that does not get there in time is left out: reading it is `Stale`, and the snapshot's position is that
    /// of the others. Of no read models at all, the position is the head of the log.
    ///
    /// # Errors
    /// `Stale` when none of them gets there; `PositionUnknown` for a foreign or future position.
    pub async fn snapshot_of_those_there(
        &self,
        models: &[&'static str],
        min_position: Option<&str>,
    ) -> Result<Snapshot, ReadError> {
        let wanted = min_position.map(|text| PositionToken::decode(text, self.log).ok_or(ReadError::PositionUnknown));
        let wanted = wanted.transpose()?;
        let deadline = Instant::now() + self.patience;
        loop {
            let change = self.changed(models, deadline.min(Instant::now() + LOOK));
            let snapshot = self.begin(models, wanted).await?;
            let late = snapshot.least(|standing| !standing.there);
            let in_time = Instant::now() < deadline;
            match late {
                None => return Ok(snapshot),
                Some(current) if !in_time => {
                    tracing::debug!(?wanted, current, "a reader's position was not reached in time");
                    let any = snapshot.asked.values().any(|standing| standing.there);
                    return if any { Ok(snapshot) } else { Err(ReadError::Stale { current: snapshot.at(current) }) };
                }
                Some(_) => drop(snapshot),
            }
            // Woken by this node's own runner, or looks again after a moment: another node may hold the projection.
            change.await;
        }
    }

    /// The cursor of an item in a list that is ordered by this time, then this id.
    #[must_use]
    pub fn cursor(&self, at: DateTime<Utc>, id: Uuid) -> String {
        Cursor { at, id }.encode(self.log)
    }

    /// Resolves when one of these read models has moved since this call, at the latest at the deadline.
    pub fn changed(&self, models: &[&'static str], deadline: Instant) -> impl Future<Output = ()> + Send + use<> {
        let changes: Vec<_> =
            models.iter().filter_map(|model| self.progress.get(model)).map(|sender| sender.subscribe()).collect();
        async move {
            let any = changes.into_iter().map(|mut change| {
                Box::pin(async move {
                    let _ = change.changed().await;
                })
            });
            let any: Vec<_> = any.collect();
            if any.is_empty() {
                tokio::time::sleep_until(deadline).await;
            } else {
                let _ = timeout_at(deadline, futures::future::select_all(any)).await;
            }
        }
    }

    /// The read models of this release that do not answer yet, because they were never at the head.
    #[must_use]
    pub fn building<'a>(&self, checkpoints: &'a [Checkpoint]) -> Vec<&'a str> {
        let ours = |c: &&Checkpoint| {
            self.tables.values().any(|(name, version)| (*name, *version) == (c.name.as_str(), c.version))
        };
        checkpoints.iter().filter(|c| !c.serving).filter(ours).map(|c| c.name.as_str()).collect()
    }

    /// Every projection's checkpoint: name, version, position, state, error, and how far the log is.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, sqlx::Error> {
        let rows = sqlx::query(
            "select name, version, position, state, error, failed_position, (select coalesce(max(position), 0) from events), serving, \
             (select count(*) from quarantine q where (q.follower, q.version, q.place) = (c.name, c.version, c.place)) \
             from checkpoints c order by name, version",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Checkpoint {
                    name: row.try_get(0)?,
                    version: row.try_get(1)?,
                    position: row.try_get(2)?,
                    stopped: row.try_get::<String, _>(3)? == "stopped",
                    error: row.try_get(4)?,
                    failed_position: row.try_get(5)?,
                    head: row.try_get(6)?,
                    serving: row.try_get(7)?,
                    quarantined: row.try_get(8)?,
                })
            })
            .collect()
    }
}

/// The head of the log, with its event; 0 and none for an empty one.
async fn head(database: impl sqlx::PgExecutor<'_>) -> Result<(i64, Option<Uuid>), sqlx::Error> {
    let head = "select position, event_id from events order by position desc limit 1";
    let head: Option<(i64, Uuid)> = sqlx::query_as(head).fetch_optional(database).await?;
    Ok(head.map_or((0, None), |(position, event)| (position, Some(event))))
}

/// Where a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The projection.
    pub name: String,
    /// Its version.
    pub version: i32,
    /// The last event it has folded.
    pub position: i64,
    /// Whether it stopped.
    pub stopped: bool,
    /// Why.
    pub error: Option<String>,
    /// Where.
    pub failed_position: Option<i64>,
    /// The head of the log.
    pub head: i64,
    /// Whether it was ever at the head: a version that was not does not answer yet.
    pub serving: bool,
    /// How many accounts, or streams without one, it leaves out.
    pub quarantined: i64,
}

impl Snapshot {
    /// The least position of the read models that can be read from this snapshot, in its opaque form.
    #[must_use]
    pub fn position(&self) -> String {
        self.models.token(self.at(self.position))
    }

    /// A position of the log that the snapshot is of.
    const fn at(&self, number: i64) -> Position {
        Position::of(self.branch(), number)
    }

    const fn branch(&self) -> Branch {
        self.expected.branch
    }

    /// The events at the positions that it may give out.
    fn seen(&self) -> impl Iterator<Item = (i64, Uuid)> + '_ {
        let asked = self.asked.values().filter_map(|standing| Some((standing.position, standing.event?)));
        asked.chain(self.head)
    }

    /// Where whoever goes on after a position begins: there, or at this snapshot when none is given. The snapshot was asked for with it,
    /// so it is one of this log.
    #[must_use]
    pub fn begins(&self, after: Option<&str>) -> i64 {
        let after = after.and_then(|text| PositionToken::decode(text, self.models.log));
        after.map_or(self.position, |token| token.number)
    }

    /// Whether the snapshot was read from for too long: whoever wants more asks again, for less.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        Instant::now() >= self.ends
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The version of a model that was asked for and the place where it serves, if it leaves an account out.
    pub(crate) fn partial(&self, model: &str) -> Option<(i32, Place)> {
        let standing = self.asked.get(model)?;
        Some((standing.partial?, standing.place))
    }

    /// The least position of the asked read models of this kind; `None` when there is none.
    fn least(&self, of: impl Fn(&Standing) -> bool) -> Option<i64> {
        self.asked.values().filter(|standing| of(standing)).map(|standing| standing.position).min()
    }

    /// The table of a read model, by its full name: which of the model's two places serves is part of this snapshot.
    ///
    /// # Errors
    /// `Stale` when the read model did not get to the asked position; `NotAsked`.
    pub(crate) fn table<R: ReadRow>(&self) -> Result<String, ReadError> {
        let model = self.models.tables.get(R::TABLE).map_or(R::TABLE, |(model, _)| *model);
        let standing = self.asked.get(model).ok_or(ReadError::NotAsked(model))?;
        if !standing.there {
            return Err(ReadError::Stale { current: self.at(standing.position) });
        }
        Ok(format!("{}.{}", standing.place.schema(), R::TABLE))
    }

    /// The rows of these keys, as far as they exist.
    pub(crate) async fn rows<R: ReadRow>(
        &mut self,
        keys: impl IntoIterator<Item = R::Key>,
    ) -> Result<Rows<R>, ReadError> {
        let table = self.table::<R>()?;
        Ok(Rows::load_from(&mut self.transaction, &table, keys).await?)
    }

    /// Opens a sealed field; `None` once it is erased, or while its key cannot be read.
    pub(crate) async fn open(
        &self,
        account: AccountId,
        field: &str,
        sealed: &Sealed,
    ) -> Result<Option<String>, ReadError> {
        match self.models.vault.open(account, field, sealed).await {
            Ok(Opened::Text(text)) => Ok(Some(text)),
            Ok(Opened::Erased) => Ok(None),
            Err(error) => {
                // An operator's problem with one account's keys must not take a whole feed down.
                tracing::error!(%account, field, %error, "a sealed value cannot be opened");
                metrics::counter!("atelier_sealed_values_unreadable_total").increment(1);
                Ok(None)
            }
        }
    }

    /// Reads a list's cursor.
    pub(crate) fn cursor(&self, after: Option<&str>) -> Result<Option<Cursor>, ReadError> {
        Ok(after.map(|text| Cursor::decode(text, self.models.log)).transpose()?)
    }

    /// Makes a page of `first` items from `first + 1` rows.
    pub(crate) fn page<T>(&self, mut rows: Vec<(Cursor, T)>, first: usize) -> Page<T> {
        let has_next = rows.len() > first;
        rows.truncate(first);
        let items = rows.into_iter().map(|(cursor, item)| (cursor.encode(self.models.log), item)).collect();
        Page { items, has_next }
    }
}
