//! Credits as their owner sees them: the balance lot by lot, and every line of the history (V24, V26).

use async_graphql::{Enum, ID, SimpleObject};
use atelier_domain::Environment as DomainEnvironment;
use atelier_domain::credit_ledger::GrantSource;
use atelier_projections::models::credit_balance::{BalanceView, LotRow};
use atelier_projections::models::transaction_history::{TransactionKind as DomainKind, TransactionView};
use chrono::{DateTime, Utc};

use crate::global_id::GlobalId;
use crate::number::int;

/// Live or test credits and keys; the two never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "DomainEnvironment")]
pub enum Environment {
    /// Real credits.
    Live,
    /// The test ledger and the demo model.
    Test,
}

impl Environment {
    /// What an argument means that may be left out. It is nullable although it has a default, because a variable without a value is handed
    /// to a resolver as null.
    pub(crate) fn or_live(asked: Option<Self>) -> DomainEnvironment {
        asked.unwrap_or(Self::Live).into()
    }
}

/// Where a lot's credits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "GrantSource")]
pub enum CreditSource {
    /// A bonus or a gift.
    Promotional,
    /// A plan's cycle.
    Plan,
    /// A bought pack.
    Purchased,
}

/// A lot of credits.
#[derive(SimpleObject)]
pub struct CreditLot {
    /// How many are left to spend.
    remaining: i32,
    /// How many were granted.
    granted: i32,
    /// Where they come from.
    source: CreditSource,
    /// When they expire, if ever.
    expires_at: Option<DateTime<Utc>>,
}

/// A balance (V24).
#[derive(SimpleObject)]
pub struct Credits {
    /// What can be spent now.
    available: i32,
    /// What running jobs hold.
    held: i32,
    /// What expires within a week.
    expiring_soon: i32,
    /// Lot by lot, soonest expiry first.
    lots: Vec<CreditLot>,
    /// The position of the read models it comes from.
    position: String,
}

/// What a line of the credit history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "DomainKind")]
pub enum TransactionKind {
    /// Granted.
    Earned,
    /// Bought.
    Purchased,
    /// Set aside for a running job.
    Held,
    /// Paid for a delivered job.
    Spent,
    /// Came back from a job that was not delivered.
    Returned,
    /// Not used in time.
    Expired,
}

/// A line of the credit history (V26).
#[derive(Clone, SimpleObject)]
pub struct Transaction {
    /// The line's id.
    id: ID,
    /// What it is about.
    kind: TransactionKind,
    /// What it adds to what can be spent; negative for what was taken.
    amount: i32,
    /// The generation, for held, spent and returned.
    generation_id: Option<ID>,
    /// The price list the amount comes from.
    price_version: Option<i32>,
    /// When.
    at: DateTime<Utc>,
    /// When the job's hold ended.
    settled_at: Option<DateTime<Utc>>,
}

impl From<TransactionView> for Transaction {
    fn from(view: TransactionView) -> Self {
        Self {
            id: ID(format!("txn_{}", view.id.simple())),
            kind: view.kind.into(),
            amount: int(view.amount.get()),
            generation_id: view.generation_id.map(|id| GlobalId::Generation(id).into()),
            price_version: view.price_version.map(int),
            at: view.at,
            settled_at: view.settled_at,
        }
    }
}

impl From<LotRow> for CreditLot {
    fn from(lot: LotRow) -> Self {
        Self {
            remaining: int(lot.remaining.get()),
            granted: int(lot.granted.get()),
            source: lot.source.into(),
            expires_at: lot.expires_at,
        }
    }
}

impl Credits {
    pub(crate) fn new(balance: BalanceView, position: &str) -> Self {
        Self {
            available: int(balance.available.get()),
            held: int(balance.held.get()),
            expiring_soon: int(balance.expiring_soon.get()),
            lots: balance.lots.into_iter().map(CreditLot::from).collect(),
            position: position.to_owned(),
        }
    }
}
