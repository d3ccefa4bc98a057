//! One step of a follower: a batch of events and the checkpoint in one transaction. As a rule the whole batch is folded as it is; with
//! anything in quarantine, or an event that cannot be decoded, each event's account is looked at first.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::Envelope;
use atelier_log::{Branch, Expected};
use sqlx::{Postgres, Row, Transaction};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Projection, Runner};
use crate::batch::{Batch, Logged, Undecodable};
use crate::fault::{self, Fault};
use crate::feed::{TRIES, changing};
use crate::place::{self, Place};
use crate::quarantine::{
    Kind, Parked, STATE, Slot, Subject, Verdict, among, erased, lift_erased, park, subjects, verdict,
};

/// What a step came to.
pub(super) enum Step {
    /// So many events further; there may be more.
    Moved(usize),
    /// At the head.
    AtHead,
    /// Another node is moving it on from this position.
    Held(i64),
    /// It is stopped.
    Stopped,
    /// One of so many events cannot be folded; nothing was moved.
    Failed(usize),
}

/// Whether a follower goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Without what is in quarantine.
    Partial,
    Stopped,
}

/// A checkpoint's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) position: i64,
    pub(crate) place: Place,
    state: State,
    /// As it is stored, for the fence.
    word: String,
    holder: Option<Uuid>,
    /// The branch of the log that it was read on: on another one it may have fallen back.
    branch: Branch,
}

/// What of a batch is folded in one transaction, when each event is looked at.
#[derive(Default)]
struct Plan<'a> {
    /// What is folded.
    events: Vec<Arc<Envelope>>,
    /// How far.
    to: i64,
    /// The end of an account that was left out.
    erased: Option<(&'a Arc<Envelope>, &'a Subject)>,
    /// An event that cannot be decoded and is the next one.
    undecodable: Option<(&'a Logged, &'a Undecodable, &'a Subject)>,
}

impl Runner {
    pub(crate) async fn here(&self, projection: &dyn Projection) -> Result<Here, sqlx::Error> {
        // The rows decide, not the word: a release from before the quarantine may have set it.
        let here = "select position, state, place, holder, exists (select from quarantine q where q.follower = c.name \
                    and q.version = c.version and q.place = c.place), (select log_branch($3, $4)) \
                    from checkpoints c where name = $1 and version = $2";
        let log = self.feed.log();
        for _ in 0..TRIES {
            let expected = log.expected().await?;
            let row = sqlx::query(here)
                .bind(projection.name())
                .bind(projection.version())
                .bind(expected.position)
                .bind(expected.event)
                .fetch_one(&self.pool)
                .await?;
            if !log.is(&expected, row.try_get(5)?).await? {
                continue;
            }
            let word: String = row.try_get(1)?;
            let state = match (word.as_str(), row.try_get(4)?) {
                ("stopped", _) => State::Stopped,
                ("partial", _) | (_, true) => State::Partial,
                _ => State::Running,
            };
            let (place, branch) = (Place::of(row.try_get(2)?), expected.branch);
            return Ok(Here { position: row.try_get(0)?, place, state, word, holder: row.try_get(3)?, branch });
        }
        Err(changing())
    }

    /// Takes up to `limit` events further. `known` is the checkpoint as this node left it; the fence finds out when it is wrong.
    pub(super) async fn step(
        &self,
        projection: &dyn Projection,
        limit: usize,
        known: &mut Option<Here>,
    ) -> Result<Step, sqlx::Error> {
        let on_this_branch = |here: &Here| self.feed.log().branch() == Some(here.branch);
        let here = match known.take().filter(on_this_branch) {
            Some(here) => here,
            None => self.here(projection).await?,
        };
        self.report(projection, here.position);
        if here.state == State::Stopped {
            let goes_on = self.try_stopped(projection, here.position).await?;
            return Ok(if goes_on { Step::Moved(0) } else { Step::Stopped });
        }
        let batch = self.feed.after(here.position, limit).await?;
        let Some(last) = batch.last() else {
            *known = Some(here);
            return Ok(Step::AtHead);
        };
        let stepped = if here.state == State::Running && batch.undecodable.is_empty() {
            self.whole(projection, &here, &batch, last).await
        } else {
            self.each(projection, &here, &batch).await
        };
        match stepped {
            Ok((step, left)) => {
                *known = left;
                Ok(step)
            }
            Err(Fault::Passing(error)) => Err(error),
            Err(_) if batch.len() > 1 => Ok(Step::Failed(batch.len())),
            Err(Fault::Fold(error)) => {
                self.stop_projection(projection, last, batch.log, &error).await;
                Ok(Step::Moved(0))
            }
            Err(Fault::Events(error)) => self.park_alone(projection, &here, &batch, &error).await,
        }
    }

    /// Begins a step and takes the checkpoint's row: `None` when it is not as it was known, or another node holds it. The lock only saves
    /// work; the place and the state are part of the fence, because a build that took over has another place. So is the log: the batch
    /// must be of the branch that is there, which must have the last of its events.
    async fn fence(
        &self,
        projection: &dyn Projection,
        here: &Here,
        log: Option<Expected>,
        to: i64,
    ) -> Result<Option<Transaction<'static, Postgres>>, sqlx::Error> {
        let node = self.node().await?;
        let mut transaction = place::begin(&self.pool, here.place, self.options.bound, projection.durable()).await?;
        let fence = "update checkpoints set position = $4, holder = $6 where name = $1 and version = $2 and position = $3 \
                     and place = $5 and state = $7 and log_branch($9, $10) = $8 and pg_try_advisory_xact_lock(hashtext($1), $2)";
        let fence = sqlx::query(fence)
            .bind(projection.name())
            .bind(projection.version())
            .bind(here.position)
            .bind(to)
            .bind(here.place.as_str())
            .bind(node)
            .bind(&here.word)
            .bind(log.map(|log| log.branch.0))
            .bind(log.and_then(|log| log.position))
            .bind(log.and_then(|log| log.event))
            .execute(&mut *transaction)
            .await?;
        if fence.rows_affected() == 1 {
            return Ok(Some(transaction));
        }
        transaction.rollback().await?;
        Ok(None)
    }

    /// What a step comes to whose fence found something else.
    async fn elsewhere(&self, projection: &dyn Projection, here: &Here) -> Result<(Step, Option<Here>), sqlx::Error> {
        // Looks whether it is the log that was expected, and drops what is of another one.
        let there = self.here(projection).await?;
        Ok((if there == *here { Step::Held(here.position) } else { Step::Moved(0) }, None))
    }

    /// Folds a batch as it is.
    async fn whole(
        &self,
        projection: &dyn Projection,
        here: &Here,
        batch: &Batch,
        last: i64,
    ) -> Result<(Step, Option<Here>), Fault> {
        let started = Instant::now();
        let Some(mut transaction) = self.fence(projection, here, batch.log, last).await? else {
            return Ok(self.elsewhere(projection, here).await?);
        };
        fault::apply(projection, &mut transaction, &batch.events).await?;
        transaction.commit().await?;
        projection.committed();
        let node = self.node().await?;
        self.moved(projection, here, batch.len(), node, started.elapsed());
        Ok((Step::Moved(batch.len()), Some(Here { position: last, holder: Some(node), ..here.clone() })))
    }

    /// Folds what of a batch is not left out, up to the first event that needs a decision of its own.
    async fn each(
        &self,
        projection: &dyn Projection,
        here: &Here,
        batch: &Batch,
    ) -> Result<(Step, Option<Here>), Fault> {
        let (started, node, slot) = (Instant::now(), self.node().await?, Slot::of(projection, here.place));
        let events = batch.in_order();
        let whose = {
            let mut connection = self.pool.acquire().await?;
            subjects(&mut connection, &events).await?
        };
        // Where it was: how far it goes is known once the row is held and the quarantine read.
        let Some(mut transaction) = self.fence(projection, here, batch.log, here.position).await? else {
            return Ok(self.elsewhere(projection, here).await?);
        };
        let left_out = among(&mut transaction, slot, &whose).await?;
        let mut plan = Plan { to: here.position, ..Plan::default() };
        for (event, subject) in events.iter().zip(&whose) {
            let skipped = subject.is_among(&left_out);
            match event {
                Logged::Event(end) if skipped && erased(event).is_some() => {
                    plan.erased = Some((end, subject));
                    plan.to = event.position();
                    break;
                }
                Logged::Event(_) | Logged::Undecodable(_) if skipped => {}
                Logged::Event(event) => plan.events.push(event.clone()),
                Logged::Undecodable(undecodable) => {
                    plan.undecodable = Some((event, undecodable.as_ref(), subject)).filter(|_| plan.events.is_empty());
                    break;
                }
            }
            plan.to = event.position();
        }
        if !plan.events.is_empty() {
            fault::apply(projection, &mut transaction, &plan.events).await?;
        }
        if let Some((end, subject)) = plan.erased {
            lift_erased(projection, &mut transaction, slot, subject, end).await?;
        }
        if let Some((event, undecodable, subject)) = plan.undecodable {
            match verdict(&mut transaction, node, subject, undecodable).await? {
                Verdict::Park => {
                    let parked = Parked { subject, event, kind: Kind::Undecodable, error: &undecodable.error };
                    park(&mut transaction, slot, &parked).await?;
                    plan.to = event.position();
                }
                Verdict::Stop(error) if plan.to == here.position => {
                    transaction.rollback().await?;
                    self.stop_projection(projection, event.position(), batch.log, &error).await;
                    return Ok((Step::Moved(0), None));
                }
                // What comes before it is moved over first.
                Verdict::Stop(_) => {}
            }
        }
        self.land(projection, transaction, plan.to).await?;
        let events = usize::try_from(plan.to - here.position).unwrap_or_default();
        self.moved(projection, here, events, node, started.elapsed());
        Ok((Step::Moved(events), None))
    }

    /// Moves a held checkpoint and commits.
    async fn land(
        &self,
        projection: &dyn Projection,
        mut transaction: Transaction<'static, Postgres>,
        to: i64,
    ) -> Result<(), sqlx::Error> {
        let land = format!("update checkpoints c set position = $3, state = {STATE} where name = $1 and version = $2");
        let land = sqlx::query(&land).bind(projection.name()).bind(projection.version()).bind(to);
        land.execute(&mut *transaction).await?;
        transaction.commit().await?;
        projection.committed();
        Ok(())
    }

    /// Parks the only event of a batch, which cannot be folded.
    async fn park_alone(
        &self,
        projection: &dyn Projection,
        here: &Here,
        batch: &Batch,
        error: &str,
    ) -> Result<Step, sqlx::Error> {
        let events = batch.in_order();
        let whose = {
            let mut connection = self.pool.acquire().await?;
            subjects(&mut connection, &events).await?
        };
        let Some((event, subject)) = events.first().zip(whose.first()) else { return Ok(Step::AtHead) };
        let Some(mut transaction) = self.fence(projection, here, batch.log, here.position).await? else {
            return Ok(Step::Moved(0));
        };
        let parked = Parked { subject, event, kind: Kind::Unfoldable, error };
        park(&mut transaction, Slot::of(projection, here.place), &parked).await?;
        self.land(projection, transaction, event.position()).await?;
        Ok(Step::Moved(1))
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
}
