//! The stock system: `cqrs-es` 0.5 with `postgres-es` 0.5, in its best configuration.
//!
//! `postgres_cqrs`, the plain event store, is the fastest of the crate's three kinds that keeps its word. The other two, snapshots
//! and the aggregate store, keep the folded state too, and it is wrong: `EventSink::write` applies an event to the loaded
//! aggregate and the store's `commit` applies it again. `long` is where snapshots would help; `snapshots.rs` measures them there.

mod snapshots;
mod views;

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atelier_commands::ports::Clock;
use atelier_domain::Actor;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError};
use atelier_server::system::SystemClock;
use cqrs_es::{Aggregate, AggregateError, Query};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

pub use snapshots::{AppliedOnce, EVERY, Snapshotted};
pub use views::{LostUpdates, balances};

use crate::Fallible;
use crate::postgres::Database;
use crate::workload::{Answer, Ledger, Request, System};

/// How often a command is tried again after a conflict: sixteen clients on one account need many.
const TRIES: u32 = 100_000;

/// A pool as the stock system is best served by: a connection for each client, all open before the round, no ping before
/// each use, statements not logged.
pub async fn pool(on: &Database, clients: usize) -> Fallible<PgPool> {
    let clients = u32::try_from(clients)?;
    let options = PgConnectOptions::from_str(&on.url)?.disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(clients)
        .min_connections(clients)
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// The framework over one kind of store.
pub struct Stock<A: Aggregate = CreditLedger> {
    cqrs: PostgresCqrs<A>,
    conflicts: AtomicU64,
    /// View updates that the crate lost.
    pub lost: Arc<LostUpdates>,
}

impl Stock {
    /// The plain event store, with the views or without.
    pub fn new(pool: &PgPool, with_views: bool) -> Self {
        let lost = Arc::new(LostUpdates::default());
        let queries: Vec<Box<dyn Query<CreditLedger>>> =
            if with_views { views::queries(pool, &lost) } else { Vec::new() };
        Self { cqrs: postgres_cqrs(pool.clone(), queries, ()), conflicts: AtomicU64::new(0), lost }
    }
}

impl<A: Aggregate> Stock<A> {
    /// How often a command had to be tried again.
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }
}

impl<A> System for Stock<A>
where
    A: Aggregate<Command = CreditLedgerCommand, Error = CreditLedgerError> + 'static,
{
    async fn execute(&self, ledger: &Ledger, request: Request) -> Answer {
        for _ in 0..TRIES {
            // What our metadata says, in the form the crate takes it.
            let metadata = HashMap::from([
                ("actor".to_owned(), Actor::Account(ledger.account).to_string()),
                ("correlation_id".to_owned(), request.id.to_string()),
                ("causation_id".to_owned(), request.id.to_string()),
            ]);
            let command = request.ask.command(SystemClock.now());
            match self.cqrs.execute_with_metadata(&ledger.id, command, metadata).await {
                Ok(()) => return Answer::Done,
                Err(AggregateError::AggregateConflict) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Err(AggregateError::UserError(refusal)) => return refusal.into(),
                Err(other) => return Answer::Failed(other.to_string()),
            }
        }
        Answer::Failed("too many conflicts".to_owned())
    }
}
