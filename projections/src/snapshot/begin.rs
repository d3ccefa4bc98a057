//! Where a snapshot begins: on the log that this node works on, with the checkpoints of that instant.

use std::collections::BTreeMap;

use atelier_log::Expected;
use atelier_vault::transactions::begin_with;
use sqlx::{Postgres, Row, Transaction};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{PLACE_WITHIN, ReadError, ReadModels, SNAPSHOT_LIFE, Snapshot, Standing, head};
use crate::cursor::PositionToken;
use crate::feed::{TRIES, changing};
use crate::place::Place;

/// No transaction stays open over 5 s (DESIGN 3): neither in one statement nor between two.
/// With it comes the branch of the log.
const BOUNDS: &str = "select log_branch($1, $2), set_config('statement_timeout', '5s', true), \
                      set_config('idle_in_transaction_session_timeout', '5s', true)";

impl ReadModels {
    /// A snapshot of these read models as they are, of the log that this node works on.
    pub(super) async fn begin(
        &self,
        models: &[&'static str],
        wanted: Option<PositionToken>,
    ) -> Result<Snapshot, ReadError> {
        for _ in 0..TRIES {
            let place = timeout(PLACE_WITHIN, self.places.clone().acquire_owned()).await;
            let place = place.ok().and_then(Result::ok).ok_or(sqlx::Error::PoolTimedOut)?;
            // Before the snapshot: it has whatever this node has seen until now.
            let expected = self.known.expected().await?;
            let mut transaction = begin_with(&self.pool, "begin isolation level repeatable read read only").await?;
            let bounds = sqlx::query(BOUNDS).bind(expected.position).bind(expected.event);
            let found: Option<Uuid> = bounds.fetch_one(&mut *transaction).await?.try_get(0)?;
            if found != Some(expected.branch.0) {
                // What is asked now takes a connection of its own.
                drop(transaction);
                self.known.is(&expected, found).await?;
                continue;
            }
            if self.known.branch() != Some(expected.branch) {
                continue;
            }
            let snapshot = self.begin_in(transaction, place, expected, models, wanted).await?;
            // A position that is given out is known to this node from here on.
            if self.known.saw(expected.branch, snapshot.seen()) {
                return Ok(snapshot);
            }
        }
        Err(changing().into())
    }

    async fn begin_in(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        place: OwnedSemaphorePermit,
        expected: Expected,
        models: &[&'static str],
        wanted: Option<PositionToken>,
    ) -> Result<Snapshot, ReadError> {
        if let Some(wanted) = wanted {
            let (head, _) = head(&mut *transaction).await?;
            let branches = "select branch, first_position from log_branches order by ordinal";
            let branches: Vec<(Uuid, i64)> = sqlx::query_as(branches).fetch_all(&mut *transaction).await?;
            if !wanted.stands(&branches, head) {
                return Err(ReadError::PositionUnknown);
            }
        }
        let wanted = wanted.map(|wanted| wanted.number);
        // Each model's own version: a row of another release says nothing about these tables.
        let ours: BTreeMap<&'static str, i32> =
            self.tables.values().copied().filter(|(name, _)| models.contains(name)).collect();
        let (names, versions): (Vec<&str>, Vec<i32>) = ours.iter().map(|(name, version)| (*name, *version)).unzip();
        let checkpoints = "select c.name, c.position, c.place, c.serving, exists (select from quarantine q \
                           where q.follower = c.name and q.version = c.version and q.place = c.place), e.event_id \
                           from unnest($1::text[], $2::int[]) as m (name, version) join checkpoints c using (name, version) \
                           left join events e on e.position = c.position";
        let rows: Vec<(String, i64, String, bool, bool, Option<Uuid>)> =
            sqlx::query_as(checkpoints).bind(names).bind(versions).fetch_all(&mut *transaction).await?;
        let standing = |name: &'static str| {
            let row = rows.iter().find(|(row, ..)| row == name);
            // A version that was never at the head is half-built: it does not answer yet.
            let there =
                row.is_some_and(|(_, at, _, serving, ..)| *serving && wanted.is_none_or(|wanted| wanted <= *at));
            let (position, place) = row.map_or((0, Place::A), |(_, at, place, ..)| (*at, Place::of(place)));
            let partial = row.filter(|(.., partial, _)| *partial).and_then(|_| ours.get(name).copied());
            let event = row.and_then(|(.., event)| *event);
            (name, Standing { position, event, place, there, partial })
        };
        let asked = models.iter().copied().map(standing).collect();
        let ends = Instant::now() + SNAPSHOT_LIFE;
        let models = self.clone();
        let mut snapshot = Snapshot {
            transaction,
            models,
            expected,
            position: 0,
            asked,
            ends,
            marked: false,
            head: None,
            _place: place,
        };
        snapshot.position = match snapshot.least(|standing| standing.there) {
            Some(position) => position,
            None => {
                let (position, event) = head(snapshot.connection()).await?;
                snapshot.head = event.map(|event| (position, event));
                position
            }
        };
        Ok(snapshot)
    }
}
