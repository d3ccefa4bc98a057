//! Reading: one snapshot holds rows and checkpoints together, no older than the position the reader asks for (DESIGN 5, L29, U44).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::{AccountId, Sealed};
use atelier_vault::{BlindIndex, Opened, Vault};
use sqlx::postgres::PgConnection;
use sqlx::{PgPool, Postgres, Row, Transaction};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::cursor::{BadCursor, Cursor, PositionToken};
use crate::models;
use crate::place::Place;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Progress;

/// How long a reader waits for its position before it is told the current one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the checkpoints are looked at while waiting; the node's own progress wakes it sooner.
const LOOK: Duration = Duration::from_millis(25);

/// No transaction stays open over 5 s (DESIGN 3): neither in one statement nor between two.
const BOUNDS: &str =
    "select set_config('statement_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '5s', true)";
/// How long one snapshot may be read from.
const SNAPSHOT_LIFE: Duration = Duration::from_secs(5);

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The read models have not reached the asked position in time; the current one is here (`STALE_READ`).
    #[error("the read models have not reached this position yet")]
    Stale {
        /// Where they are.
        current: PositionToken,
    },
    /// The position is not one of this log (`POSITION_UNKNOWN`).
    #[error("the position is not one of this log")]
    PositionUnknown,
    /// The cursor is not one of this list (`BAD_CURSOR`).
    #[error(transparent)]
    BadCursor(#[from] BadCursor),
    /// The database failed.
    #[error("the read models cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// A sealed value cannot be opened: an operator's problem.
    #[error("a sealed value cannot be opened: {0}")]
    Vault(String),
}

impl From<atelier_vault::credential_rows::RowError> for ReadError {
    fn from(error: atelier_vault::credential_rows::RowError) -> Self {
        Self::Vault(error.to_string())
    }
}

/// The read side, for those who ask.
#[derive(Clone)]
pub struct ReadModels {
    pool: PgPool,
    vault: Vault,
    pub(crate) blind_index: BlindIndex,
    progress: Arc<Progress>,
    /// The tables of this release's read models, each with its model and version.
    tables: Arc<BTreeMap<&'static str, (&'static str, i32)>>,
    log: Uuid,
}

/// Rows and checkpoints of one instant.
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    pub(crate) models: ReadModels,
    position: i64,
    places: BTreeMap<String, Place>,
    ends: Instant,
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
    /// Opens the read side.
    ///
    /// # Errors
    /// When the log's identity cannot be read.
    pub async fn open(
        pool: PgPool,
        vault: Vault,
        blind_index: BlindIndex,
        progress: Arc<Progress>,
    ) -> Result<Self, sqlx::Error> {
        let log = sqlx::query_scalar("select log_id from log_identity").fetch_one(&pool).await?;
        let mut tables = BTreeMap::new();
        for model in models::all() {
            tables.extend(model.tables().iter().map(|table| (*table, (model.name(), model.version()))));
        }
        Ok(Self { pool, vault, blind_index, progress, tables: Arc::new(tables), log })
    }

    /// The opaque form of a position.
    #[must_use]
    pub fn token(&self, position: i64) -> String {
        PositionToken(position).encode(self.log)
    }

    /// A snapshot of these read models, not older than the asked position; waits for it, within bounds.
    ///
    /// # Errors
    /// `Stale` with the current position; `PositionUnknown` for a foreign or future position.
    pub async fn snapshot(&self, models: &[&'static str], min_position: Option<&str>) -> Result<Snapshot, ReadError> {
        let wanted = match min_position {
            Some(text) => Some(self.known(text).await?),
            None => None,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let change = self.changed(models, deadline.min(Instant::now() + LOOK));
            let (snapshot, serving) = self.begin(models).await?;
            // A version that was never at the head is half-built: it does not answer yet.
            if serving && wanted.is_none_or(|wanted| wanted <= snapshot.position) {
                return Ok(snapshot);
            }
            let current = snapshot.position;
            drop(snapshot);
            if Instant::now() >= deadline {
                tracing::debug!(wanted, current, "a reader's position was not reached in time");
                return Err(ReadError::Stale { current: PositionToken(current) });
            }
            // Woken by this node's own runner, or looks again after a moment: another node may hold the projection.
            change.await;
        }
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

    /// A position token of this log that is not in the future.
    async fn known(&self, text: &str) -> Result<i64, ReadError> {
        let PositionToken(position) = PositionToken::decode(text, self.log).ok_or(ReadError::PositionUnknown)?;
        let head: i64 =
            sqlx::query_scalar("select coalesce(max(position), 0) from events").fetch_one(&self.pool).await?;
        if position > head { Err(ReadError::PositionUnknown) } else { Ok(position) }
    }

    /// Begins in a task of its own, which ends though its reader may not wait for it any more, as a subscriber does who goes: a `begin`
    /// that is cut off before the driver knows of it would leave the connection read-only for whoever has it next. From then on the
    /// transaction itself sees to its end.
    async fn begin_transaction(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let pool = self.pool.clone();
        let begun =
            tokio::spawn(async move { pool.begin_with("begin isolation level repeatable read read only").await });
        // It panics only with the driver, and is not aborted.
        begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// A snapshot, and whether all of the asked models serve.
    async fn begin(&self, models: &[&'static str]) -> Result<(Snapshot, bool), ReadError> {
        let mut transaction = self.begin_transaction().await?;
        sqlx::query(BOUNDS).execute(&mut *transaction).await?;
        // Each model's own version: a row of another release says nothing about these tables.
        let (names, versions): (Vec<&str>, Vec<i32>) = self.tables.values().copied().unzip();
        let checkpoints = "select distinct c.name, c.position, c.place, c.serving \
                           from unnest($1::text[], $2::int[]) as m (name, version) join checkpoints c using (name, version)";
        let rows: Vec<(String, i64, String, bool)> =
            sqlx::query_as(checkpoints).bind(names).bind(versions).fetch_all(&mut *transaction).await?;
        let asked = || rows.iter().filter(|(name, ..)| models.contains(&name.as_str()));
        let position = asked().map(|(_, position, ..)| *position).min().unwrap_or_default();
        let serving = asked().all(|(.., serving)| *serving);
        let places = rows.iter().map(|(name, _, place, _)| (name.clone(), Place::of(place))).collect();
        let ends = Instant::now() + SNAPSHOT_LIFE;
        Ok((Snapshot { transaction, models: self.clone(), position, places, ends }, serving))
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
            "select name, version, position, state, error, failed_position, (select coalesce(max(position), 0) from events), serving \
             from checkpoints order by name, version",
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
                })
            })
            .collect()
    }
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
    /// Whether it stopped at a poison event.
    pub stopped: bool,
    /// Why.
    pub error: Option<String>,
    /// Where.
    pub failed_position: Option<i64>,
    /// The head of the log.
    pub head: i64,
    /// Whether it was ever at the head: a version that was not does not answer yet.
    pub serving: bool,
}

impl Snapshot {
    /// The least position of the read models in this snapshot, in its opaque form.
    #[must_use]
    pub fn position(&self) -> String {
        self.models.token(self.position)
    }

    /// Where whoever goes on after a position begins: there, or at this snapshot when none is given. The snapshot was asked for with it,
    /// so it is one of this log.
    #[must_use]
    pub fn begins(&self, after: Option<&str>) -> i64 {
        let after = after.and_then(|text| PositionToken::decode(text, self.models.log));
        after.map_or(self.position, |PositionToken(position)| position)
    }

    /// Whether the snapshot was read from for too long: whoever wants more asks again, for less.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        Instant::now() >= self.ends
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The table of a read model, by its full name: which of the model's two places serves is part of this snapshot.
    pub(crate) fn table<R: ReadRow>(&self) -> String {
        let model = self.models.tables.get(R::TABLE).map(|(model, _)| *model);
        let place = model.and_then(|model| self.places.get(model)).copied().unwrap_or(Place::A);
        format!("{}.{}", place.schema(), R::TABLE)
    }

    /// The rows of these keys, as far as they exist.
    pub(crate) async fn rows<R: ReadRow>(
        &mut self,
        keys: impl IntoIterator<Item = R::Key>,
    ) -> Result<Rows<R>, ReadError> {
        let table = self.table::<R>();
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
