//! The stock snapshot store, tried where it would help most: as it comes, and with an aggregate that works around its double fold.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError, CreditLedgerEvent};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateContext, EventStore};
use postgres_es::{PostgresEventRepository, postgres_snapshot_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{LostUpdates, Stock};
use crate::Fallible;

/// Events between two snapshots. Odd, so that they fall on holds as well as on captures: only a hold folded twice shows.
pub const EVERY: usize = 99;

/// The same aggregate, its events written to a sink without being applied to the loaded state, so that `commit` is the only
/// one to apply them. Nothing in the crate's documentation says that this is needed.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppliedOnce(CreditLedger);

impl Aggregate for AppliedOnce {
    const TYPE: &'static str = CreditLedger::TYPE;
    type Command = CreditLedgerCommand;
    type Event = CreditLedgerEvent;
    type Error = CreditLedgerError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        let decided = EventSink::<CreditLedger>::default();
        self.0.clone().handle(command, &(), &decided).await?;
        for event in decided.collect().await {
            sink.write(event, &mut Self::default()).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.0.apply(event);
    }
}

/// An aggregate the stock snapshot store can be asked about.
pub trait Snapshotted: Aggregate<Services = ()> + Sized {
    /// The ledger in it.
    fn ledger(&self) -> &CreditLedger;

    /// The framework over the snapshot store.
    fn stock(pool: &PgPool) -> Stock<Self> {
        let cqrs = postgres_snapshot_cqrs(pool.clone(), Vec::new(), EVERY, ());
        Stock { cqrs, conflicts: AtomicU64::new(0), lost: Arc::new(LostUpdates::default()) }
    }

    /// Whether the state that snapshot and tail give is the state that all events give.
    async fn agrees(pool: &PgPool, id: &str) -> Fallible<bool> {
        let repository = || PostgresEventRepository::new(pool.clone());
        let by_snapshot = PersistedEventStore::<_, Self>::new_snapshot_store(repository(), EVERY);
        let by_events = PersistedEventStore::<_, Self>::new_event_store(repository());
        let mut one = by_snapshot.load_aggregate(id).await.map_err(|error| error.to_string())?;
        let mut other = by_events.load_aggregate(id).await.map_err(|error| error.to_string())?;
        Ok(one.aggregate().ledger() == other.aggregate().ledger())
    }
}

impl Snapshotted for CreditLedger {
    fn ledger(&self) -> &CreditLedger {
        self
    }
}

impl Snapshotted for AppliedOnce {
    fn ledger(&self) -> &CreditLedger {
        &self.0
    }
}
