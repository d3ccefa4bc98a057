//! The stock system's views: the balance by `GenericQuery`, the history by a query of one row a line, as its documentation shows.
//!
//! They use the pool of the commands and its durable commits: the crate keeps no note of how far a view is, so a view that lost
//! an update in a crash would be wrong for ever. (Ours may commit without waiting: the checkpoint is lost with the rows.)

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerEvent, GrantSource, LedgerAccount};
use chrono::{DateTime, Utc};
use cqrs_es::persist::{GenericQuery, PersistenceError, ViewContext, ViewRepository};
use cqrs_es::{EventEnvelope, Query, View};
use postgres_es::PostgresViewRepository;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::Fallible;
use crate::balance::Balance;
use crate::postgres::Database;

/// How many updates of a view met a conflict and were dropped by the crate.
#[derive(Debug, Default)]
pub struct LostUpdates(AtomicU64);

impl LostUpdates {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Both views, on the pool of the commands.
pub fn queries(pool: &PgPool, lost: &Arc<LostUpdates>) -> Vec<Box<dyn Query<CreditLedger>>> {
    let mut balance =
        GenericQuery::<_, BalanceView, CreditLedger>::new(Arc::new(
            PostgresViewRepository::<BalanceView, CreditLedger>::new("balance_view", pool.clone()),
        ));
    let counter = lost.clone();
    balance.use_error_handler(Box::new(move |_: PersistenceError| counter.count()));
    let repository = PostgresViewRepository::new("history_view", pool.clone());
    vec![Box::new(balance), Box::new(History { repository, lost: lost.clone() })]
}

/// What the balance views of a database say.
pub async fn balances(on: &Database) -> Fallible<HashMap<String, Balance>> {
    let mut connection = PgConnection::connect(&on.superuser_url).await?;
    let rows: Vec<(String, sqlx::types::Json<BalanceView>)> =
        sqlx::query_as("select view_id, payload from balance_view").fetch_all(&mut connection).await?;
    connection.close().await?;
    let balance =
        |view: &BalanceView| Balance { available: view.lots.iter().map(|lot| lot.remaining).sum(), held: view.held };
    Ok(rows.into_iter().map(|(id, view)| (id, balance(&view))).collect())
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct BalanceView {
    held: i64,
    lots: Vec<Lot>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Lot {
    lot_id: Uuid,
    source: GrantSource,
    granted: i64,
    remaining: i64,
    expires_at: Option<DateTime<Utc>>,
}

impl View<CreditLedger> for BalanceView {
    fn update(&mut self, event: &EventEnvelope<CreditLedger>) {
        if let CreditLedgerEvent::CreditsGranted { lot_id, source, amount, expires_at, .. } = &event.payload {
            self.lots.push(Lot {
                lot_id: lot_id.0,
                source: *source,
                granted: amount.get(),
                remaining: 0,
                expires_at: *expires_at,
            });
        }
        for entry in event.payload.entries() {
            match entry.account {
                LedgerAccount::Held => self.held += entry.amount.get(),
                LedgerAccount::Lot(lot) => {
                    if let Some(lot) = self.lots.iter_mut().find(|known| known.lot_id == lot.0) {
                        lot.remaining += entry.amount.get();
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    ledger_id: String,
    kind: String,
    amount: i64,
    generation_id: Option<Uuid>,
    lot_id: Option<Uuid>,
    price_version: Option<u32>,
}

impl View<CreditLedger> for Line {
    fn update(&mut self, event: &EventEnvelope<CreditLedger>) {
        self.ledger_id.clone_from(&event.aggregate_id);
        match &event.payload {
            CreditLedgerEvent::CreditsGranted { lot_id, amount, .. } => {
                "purchased".clone_into(&mut self.kind);
                (self.amount, self.lot_id) = (amount.get(), Some(lot_id.0));
            }
            CreditLedgerEvent::HoldPlaced { generation_id, amount, price_version, .. } => {
                "held".clone_into(&mut self.kind);
                (self.amount, self.generation_id) = (-amount.get(), Some(generation_id.0));
                self.price_version = Some(*price_version);
            }
            CreditLedgerEvent::HoldCaptured { captured, .. } => {
                "spent".clone_into(&mut self.kind);
                self.amount = -captured.get();
            }
            CreditLedgerEvent::HoldVoided { .. } => {
                "returned".clone_into(&mut self.kind);
                self.amount = 0;
            }
            CreditLedgerEvent::LotExpired { lot_id, amount, .. } => {
                "expired".clone_into(&mut self.kind);
                (self.amount, self.lot_id) = (-amount.get(), Some(lot_id.0));
            }
            CreditLedgerEvent::LedgerClosed { forfeited, .. } => {
                "forfeited".clone_into(&mut self.kind);
                self.amount = -forfeited.get();
            }
        }
    }
}

/// One row a line: a view of the whole history would be written anew with every event.
struct History {
    repository: PostgresViewRepository<Line, CreditLedger>,
    lost: Arc<LostUpdates>,
}

impl History {
    async fn update(&self, event: &EventEnvelope<CreditLedger>) -> Result<(), PersistenceError> {
        let id = match &event.payload {
            CreditLedgerEvent::CreditsGranted { lot_id, .. } | CreditLedgerEvent::LotExpired { lot_id, .. } => lot_id.0,
            CreditLedgerEvent::HoldPlaced { hold_id, .. }
            | CreditLedgerEvent::HoldCaptured { hold_id, .. }
            | CreditLedgerEvent::HoldVoided { hold_id, .. } => hold_id.0,
            // Nothing measured closes a ledger; a line of its own would need an id.
            CreditLedgerEvent::LedgerClosed { .. } => return Ok(()),
        };
        let id = id.to_string();
        let known = self.repository.load_with_context(&id).await?;
        let (mut line, context) = known.unwrap_or_else(|| (Line::default(), ViewContext::new(id, 0)));
        line.update(event);
        self.repository.update_view(line, context).await
    }
}

#[async_trait]
impl Query<CreditLedger> for History {
    async fn dispatch(&self, _aggregate_id: &str, events: &[EventEnvelope<CreditLedger>]) {
        for event in events {
            if self.update(event).await.is_err() {
                self.lost.count();
            }
        }
    }
}
