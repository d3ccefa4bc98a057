//! Folding one subject's events again, in pieces, until it is where its follower is.

use std::sync::Arc;

use atelier_domain::Envelope;
use atelier_log::Expected;
use sqlx::{Postgres, Transaction};

use super::rows::{self, STATE};
use super::{Kind, Parked, Slot, Subject, streams, subjects};
use crate::batch::Logged;
use crate::fault::{self, Fault, UNDECODABLE};
use crate::feed;
use crate::place;
use crate::runner::{Projection, Runner};

/// How a refold ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The subject is whole again.
    Lifted,
    /// It stays in quarantine.
    Failed { position: i64, error: String },
    /// Another retry has it now, or there is no quarantine any more.
    Overtaken,
}

/// What keeps a piece from being folded.
enum Halt {
    Ended(Ended),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A refold under way. It may write as long as its attempt is the row's.
pub(super) struct Refold<'a> {
    runner: &'a Runner,
    projection: &'a dyn Projection,
    slot: Slot,
    subject: &'a Subject,
    attempt: i64,
    folded_to: i64,
    /// The log that is folded.
    log: Expected,
}

impl<'a> Refold<'a> {
    /// Folds a subject again.
    ///
    /// # Errors
    /// When the database failed; the subject is still in quarantine then.
    pub(super) async fn run(
        runner: &'a Runner,
        projection: &'a dyn Projection,
        slot: Slot,
        subject: &'a Subject,
    ) -> Result<Ended, sqlx::Error> {
        let folded = async {
            let mut refold = Self::begin(runner, projection, slot, subject).await?;
            while !refold.finish().await? {
                refold.catch_up().await?;
            }
            Ok(())
        };
        match folded.await {
            Ok(()) => Ok(Ended::Lifted),
            Err(Halt::Ended(ended)) => Ok(ended),
            Err(Halt::Database(error)) => Err(error),
        }
    }

    /// Takes the subject over from an earlier attempt. What a read model holds of it goes first.
    async fn begin(
        runner: &'a Runner,
        projection: &'a dyn Projection,
        slot: Slot,
        subject: &'a Subject,
    ) -> Result<Self, Halt> {
        let model = !projection.tables().is_empty();
        let log = runner.feed.log().expected().await?;
        let mut transaction =
            place::begin(&runner.pool, slot.place, runner.options.bound, projection.durable()).await?;
        let begin = "update quarantine set attempt = nextval('quarantine_attempts'), folded_to = case when $5 then 0 else folded_to end \
                     where follower = $1 and version = $2 and place = $3 and subject = $4 returning attempt, folded_to";
        let begun: Option<(i64, i64)> = sqlx::query_as(begin)
            .bind(slot.follower)
            .bind(slot.version)
            .bind(slot.place.as_str())
            .bind(subject.text())
            .bind(model)
            .fetch_optional(&mut *transaction)
            .await?;
        let (attempt, folded_to) = begun.ok_or(Halt::Ended(Ended::Overtaken))?;
        if let (true, Some(account)) = (model, subject.account) {
            projection.forget(&mut transaction, account).await?;
        }
        transaction.commit().await?;
        Ok(Self { runner, projection, slot, subject, attempt, folded_to, log })
    }

    /// Folds in pieces up to where the follower is now.
    async fn catch_up(&mut self) -> Result<(), Halt> {
        let to = self.runner.here(self.projection).await?.position;
        let mut connection = self.runner.pool.acquire().await?;
        let positions = streams::positions(&mut connection, self.subject, self.folded_to, to).await?;
        for piece in positions.chunks(self.runner.options.batch) {
            let events = feed::at(&mut connection, piece).await?;
            let Some(last) = piece.last() else { continue };
            self.piece(&events, *last).await?;
        }
        if self.folded_to < to { self.piece(&[], to).await } else { Ok(()) }
    }

    /// Folds a piece, narrowed to the event when it fails.
    async fn piece(&mut self, events: &[Logged], to: i64) -> Result<(), Halt> {
        let decoded = decoded(events);
        if decoded.len() < events.len() {
            let undecodable = &events[decoded.len()];
            if let Some(before) = decoded.last().map(|event| event.position) {
                Box::pin(self.piece(&events[..decoded.len()], before)).await?;
            }
            let error = match undecodable {
                Logged::Undecodable(event) => format!("{UNDECODABLE}{}", event.error),
                Logged::Event(_) => String::new(),
            };
            return Err(self.failed(undecodable, Kind::Undecodable, &error).await?);
        }
        let mut transaction = self.transaction().await?;
        self.fence(&mut transaction, to).await?;
        match fault::apply(self.projection, &mut transaction, &decoded).await {
            Ok(()) => {}
            Err(Fault::Passing(error)) => return Err(error.into()),
            Err(Fault::Events(error) | Fault::Fold(error)) => {
                transaction.rollback().await?;
                let [event] = events else {
                    let (before, after) = events.split_at(events.len() / 2);
                    let middle = before.last().map_or(self.folded_to, Logged::position);
                    Box::pin(self.piece(before, middle)).await?;
                    return Box::pin(self.piece(after, to)).await;
                };
                return Err(self.failed(event, Kind::Unfoldable, &error).await?);
            }
        }
        transaction.commit().await?;
        self.folded_to = to;
        self.projection.committed();
        Ok(())
    }

    /// Folds the last few events while the follower stands still, and ends the quarantine, in one transaction. Says whether it did, or
    /// whether the follower is too far ahead.
    async fn finish(&mut self) -> Result<bool, Halt> {
        let batch = self.runner.options.batch;
        let mut transaction = self.transaction().await?;
        let hold = "select position from checkpoints where name = $1 and version = $2 and place = $3 for update";
        let position: Option<i64> = sqlx::query_scalar(hold)
            .bind(self.slot.follower)
            .bind(self.slot.version)
            .bind(self.slot.place.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let position = position.ok_or(Halt::Ended(Ended::Overtaken))?;
        let behind = usize::try_from((position - self.folded_to).max(0)).unwrap_or(usize::MAX);
        if behind > batch {
            return Ok(false);
        }
        let events = feed::range(&mut transaction, self.folded_to, behind).await?;
        let whose = subjects(&mut transaction, &events).await?;
        let ours = self.subject.text();
        let own: Vec<Logged> = events
            .into_iter()
            .zip(&whose)
            .filter(|(_, subject)| subject.names().any(|name| name == ours))
            .map(|(event, _)| event)
            .collect();
        let decoded = decoded(&own);
        let folded = if decoded.len() == own.len() {
            fault::apply(self.projection, &mut transaction, &decoded).await
        } else {
            Err(Fault::Events(String::new()))
        };
        match folded {
            Ok(()) => {}
            Err(Fault::Passing(error)) => return Err(error.into()),
            Err(Fault::Events(_) | Fault::Fold(_)) => {
                // As a piece of its own, which says which event it is.
                transaction.rollback().await?;
                self.piece(&own, position).await?;
                return Ok(false);
            }
        }
        self.fence(&mut transaction, position).await?;
        if !rows::lift(&mut transaction, self.slot, &ours, Some(self.attempt)).await? {
            return Err(Halt::Ended(Ended::Overtaken));
        }
        let state =
            format!("update checkpoints c set state = {STATE} where name = $1 and version = $2 and state <> 'stopped'");
        let state = sqlx::query(&state).bind(self.slot.follower).bind(self.slot.version);
        state.execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.projection.committed();
        tracing::info!(projection = self.slot.follower, "an account has left the quarantine");
        Ok(true)
    }

    async fn transaction(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        place::begin(&self.runner.pool, self.slot.place, self.runner.options.bound, self.projection.durable()).await
    }

    async fn fence(&self, transaction: &mut Transaction<'static, Postgres>, to: i64) -> Result<(), Halt> {
        let fence = "update quarantine set folded_to = $7 where follower = $1 and version = $2 and place = $3 and subject = $4 \
                     and attempt = $5 and folded_to = $6 and log_branch($9, $10) = $8";
        let moved = sqlx::query(fence)
            .bind(self.slot.follower)
            .bind(self.slot.version)
            .bind(self.slot.place.as_str())
            .bind(self.subject.text())
            .bind(self.attempt)
            .bind(self.folded_to)
            .bind(to)
            .bind(self.log.branch.0)
            .bind(self.log.position)
            .bind(self.log.event)
            .execute(&mut **transaction)
            .await?;
        if moved.rows_affected() == 1 { Ok(()) } else { Err(Halt::Ended(Ended::Overtaken)) }
    }

    /// Records where the attempt failed; the subject stays.
    async fn failed(&self, event: &Logged, kind: Kind, error: &str) -> Result<Halt, sqlx::Error> {
        let parked = Parked { subject: self.subject, event, kind, error };
        let note = "update quarantine set kind = $6, position = $7, event_id = $8, error = $9 \
                    where follower = $1 and version = $2 and place = $3 and subject = $4 and attempt = $5";
        sqlx::query(note)
            .bind(self.slot.follower)
            .bind(self.slot.version)
            .bind(self.slot.place.as_str())
            .bind(self.subject.text())
            .bind(self.attempt)
            .bind(kind.as_str())
            .bind(event.position())
            .bind(event.event_id())
            .bind(parked.error())
            .execute(&self.runner.pool)
            .await?;
        Ok(Halt::Ended(Ended::Failed { position: event.position(), error: parked.error() }))
    }
}

/// The events up to the first one that could not be decoded.
fn decoded(events: &[Logged]) -> Vec<Arc<Envelope>> {
    let decoded = events.iter().map_while(|event| match event {
        Logged::Event(event) => Some(event.clone()),
        Logged::Undecodable(_) => None,
    });
    decoded.collect()
}
