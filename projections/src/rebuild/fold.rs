//! Folding into a build: as it is while nothing is in its quarantine, else narrowed by halves to the events that cannot be folded.

use std::sync::Arc;

use atelier_domain::Envelope;
use futures::TryStreamExt;
use sqlx::PgConnection;

use super::{Attempt, RebuildError};
use crate::batch::{Batch, Logged};
use crate::fault::{self, Fault};
use crate::quarantine::{self, Kind, Parked, Subject, erased, lift_erased, subjects};

impl Attempt<'_> {
    /// Folds a piece of the log. What cannot be folded is in the build's quarantine afterwards.
    pub(super) async fn fold(&mut self, events: &[Logged]) -> Result<(), RebuildError> {
        let batch: Batch = events.iter().cloned().collect();
        let Some(last) = batch.last() else { return Ok(()) };
        if self.left_out.is_empty() && batch.undecodable.is_empty() {
            let mut transaction = self.step(last, false).await?;
            match fault::apply(self.projection, &mut transaction, &batch.events).await {
                Ok(()) => {
                    transaction.commit().await?;
                    self.position = last;
                    return Ok(());
                }
                Err(Fault::Passing(error)) => return Err(error.into()),
                Err(Fault::Fold(error)) => return Err(RebuildError::Broken { position: last, error }),
                Err(Fault::Events(_)) => transaction.rollback().await?,
            }
        }
        let mut connection = self.runner.pool.acquire().await?;
        let whose = subjects(&mut connection, events).await?;
        drop(connection);
        let pairs: Vec<(&Logged, &Subject)> = events.iter().zip(&whose).collect();
        self.narrow(&pairs).await
    }

    /// Folds the last few events up to a position inside the takeover's transaction. Says whether it could: not when one of them needs a
    /// quarantine of its own. The transaction is then to be rolled back.
    pub(super) async fn fold_last(&self, connection: &mut PgConnection, to: i64) -> Result<bool, RebuildError> {
        let ranges: Vec<Batch> = self.replay.envelopes(self.position + 1..=to).try_collect().await?;
        let events: Vec<Logged> = ranges.iter().flat_map(Batch::in_order).collect();
        let whose = if self.left_out.is_empty() { Vec::new() } else { subjects(connection, &events).await? };
        let kept = if self.left_out.is_empty() {
            let decoded = ranges.iter().all(|range| range.undecodable.is_empty());
            decoded.then(|| ranges.iter().flat_map(|range| range.events.iter().cloned()).collect())
        } else {
            self.plain(&events.iter().zip(&whose).collect::<Vec<_>>())
        };
        let Some(kept): Option<Vec<Arc<Envelope>>> = kept else { return Ok(false) };
        match fault::apply(self.projection, connection, &kept).await {
            Ok(()) => Ok(true),
            Err(Fault::Passing(error)) => Err(error.into()),
            Err(Fault::Events(_) | Fault::Fold(_)) => Ok(false),
        }
    }

    /// Folds events whose subjects are known: together if they can be, else in halves.
    async fn narrow(&mut self, events: &[(&Logged, &Subject)]) -> Result<(), RebuildError> {
        let [(event, subject)] = events else {
            let Some((last, _)) = events.last() else { return Ok(()) };
            if let Some(kept) = self.plain(events)
                && self.try_together(&kept, last.position()).await?
            {
                return Ok(());
            }
            let (before, after) = events.split_at(events.len() / 2);
            Box::pin(self.narrow(before)).await?;
            return Box::pin(self.narrow(after)).await;
        };
        let skipped = subject.is_among(&self.left_out);
        match event {
            Logged::Event(end) if skipped && erased(event).is_some() => self.lift(event.position(), end, subject).await,
            Logged::Event(_) | Logged::Undecodable(_) if skipped => self.pass(event.position()).await,
            Logged::Undecodable(undecodable) => self.park(event, subject, Kind::Undecodable, &undecodable.error).await,
            Logged::Event(kept) => {
                let mut transaction = self.step(event.position(), false).await?;
                let error = match fault::apply(self.projection, &mut transaction, std::slice::from_ref(kept)).await {
                    Ok(()) => {
                        transaction.commit().await?;
                        self.position = event.position();
                        return Ok(());
                    }
                    Err(Fault::Passing(error)) => return Err(error.into()),
                    Err(Fault::Fold(error)) => {
                        return Err(RebuildError::Broken { position: event.position(), error });
                    }
                    Err(Fault::Events(error)) => error,
                };
                transaction.rollback().await?;
                self.park(event, subject, Kind::Unfoldable, &error).await
            }
        }
    }

    /// What of these events is folded; `None` when one of them needs a step of its own.
    fn plain(&self, events: &[(&Logged, &Subject)]) -> Option<Vec<Arc<Envelope>>> {
        let mut kept = Vec::with_capacity(events.len());
        for (event, subject) in events {
            match (event, subject.is_among(&self.left_out)) {
                (_, true) if erased(event).is_some() => return None,
                (Logged::Event(_) | Logged::Undecodable(_), true) => {}
                (Logged::Event(event), false) => kept.push(event.clone()),
                (Logged::Undecodable(_), false) => return None,
            }
        }
        Some(kept)
    }

    async fn try_together(&mut self, events: &[Arc<Envelope>], to: i64) -> Result<bool, RebuildError> {
        let mut transaction = self.step(to, false).await?;
        match fault::apply(self.projection, &mut transaction, events).await {
            Ok(()) => {
                transaction.commit().await?;
                self.position = to;
                Ok(true)
            }
            Err(Fault::Passing(error)) => Err(error.into()),
            Err(Fault::Fold(error)) => Err(RebuildError::Broken { position: to, error }),
            Err(Fault::Events(_)) => {
                transaction.rollback().await?;
                Ok(false)
            }
        }
    }

    /// Moves over an event that is left out.
    async fn pass(&mut self, to: i64) -> Result<(), RebuildError> {
        self.step(to, false).await?.commit().await?;
        self.position = to;
        Ok(())
    }

    async fn park(&mut self, event: &Logged, subject: &Subject, kind: Kind, error: &str) -> Result<(), RebuildError> {
        let mut transaction = self.step(event.position(), false).await?;
        let parked = Parked { subject, event, kind, error };
        quarantine::park(&mut transaction, self.slot(), &parked).await?;
        transaction.commit().await?;
        self.position = event.position();
        self.left_out.insert(subject.text());
        Ok(())
    }

    async fn lift(&mut self, to: i64, end: &Arc<Envelope>, subject: &Subject) -> Result<(), RebuildError> {
        let mut transaction = self.step(to, false).await?;
        match lift_erased(self.projection, &mut transaction, self.slot(), subject, end).await {
            Ok(()) => {}
            Err(Fault::Passing(error)) => return Err(error.into()),
            Err(Fault::Events(error) | Fault::Fold(error)) => return Err(RebuildError::Broken { position: to, error }),
        }
        transaction.commit().await?;
        self.position = to;
        for name in subject.names() {
            self.left_out.remove(&name);
        }
        Ok(())
    }
}
