//! The transaction history: credits earned, spent and purchased, with times and generation ids; never cut (V26, C7).
//!
//! A job has one line: `held` while it is at work, then `spent` with what was captured, or `returned`. The amounts of all lines
//! add up to what is left.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::credit_ledger::{CreditLedgerEvent, GrantSource};
use atelier_domain::{AccountId, Credits, Envelope, GenerationId, LedgerId, LogEvent};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::cursor::Cursor;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{Page, ReadError, Snapshot};

/// The projection.
pub struct TransactionHistory;

/// Its name.
pub const NAME: &str = "TransactionHistory";

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// Granted: a bonus, a gift, a plan's cycle.
    Earned,
    /// A bought pack.
    Purchased,
    /// Set aside for a job at work.
    Held,
    /// Paid for a delivered job.
    Spent,
    /// Was set aside for a job that was not delivered, and came back.
    Returned,
    /// Not used before the lot's end.
    Expired,
}

/// A line of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransactionView {
    /// The line's id: the grant's or expiry's event, or the job.
    pub id: Uuid,
    #[serde(with = "crate::read_row::as_text")]
    ledger_id: LedgerId,
    /// What it is about.
    pub kind: TransactionKind,
    /// What it adds to what can be spent; negative for what was taken.
    pub amount: Credits,
    /// The job, for held, spent and returned (L23).
    pub generation_id: Option<GenerationId>,
    /// The lot, for earned, purchased and expired.
    pub lot_id: Option<Uuid>,
    /// The price list the amount comes from, for held and spent (L23).
    #[serde(serialize_with = "crate::carried::maybe_integer")]
    pub price_version: Option<u32>,
    /// When it began.
    #[serde(serialize_with = "crate::carried::instant")]
    pub at: DateTime<Utc>,
    /// When the job's hold ended.
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    pub settled_at: Option<DateTime<Utc>>,
}

impl ReadRow for TransactionView {
    type Key = Uuid;
    const TABLE: &'static str = "transaction_history_v1";
    const KEY: &'static str = "id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.id
    }
}

#[async_trait]
impl Projection for TransactionHistory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[TransactionView::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let ended = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::CreditLedger(
                _,
                CreditLedgerEvent::HoldCaptured { hold_id, .. } | CreditLedgerEvent::HoldVoided { hold_id, .. },
            ) => Some(hold_id.0),
            LogEvent::CreditLedger(..) | LogEvent::Account(..) | LogEvent::Generation(..) => None,
        });
        let mut rows = Rows::<TransactionView>::load(connection, ended).await?;
        for envelope in events {
            if let LogEvent::CreditLedger(ledger, event) = &envelope.event {
                fold(&mut rows, *ledger, event, envelope);
            }
        }
        rows.save(connection).await
    }

    /// A line knows its ledger, and by that its account.
    async fn forget(&self, connection: &mut PgConnection, account: AccountId) -> Result<(), sqlx::Error> {
        let ledgers = LedgerId::both(account).map(|ledger| ledger.to_string());
        let delete = format!("delete from {} where ledger_id = any($1)", TransactionView::TABLE);
        sqlx::query(&delete).bind(&ledgers[..]).execute(connection).await.map(drop)
    }
}

fn negative(amount: Credits) -> Credits {
    amount.checked_neg().expect("an amount of credits is far from the least i64")
}

fn fold(rows: &mut Rows<TransactionView>, ledger: LedgerId, event: &CreditLedgerEvent, envelope: &Envelope) {
    let line = |id, kind, amount| TransactionView {
        id,
        ledger_id: ledger,
        kind,
        amount,
        generation_id: None,
        lot_id: None,
        price_version: None,
        at: envelope.decided_at,
        settled_at: None,
    };
    match event {
        CreditLedgerEvent::CreditsGranted { lot_id, source, amount, .. } => {
            let kind = match source {
                GrantSource::Promotional | GrantSource::Plan => TransactionKind::Earned,
                GrantSource::Purchased => TransactionKind::Purchased,
            };
            rows.put(TransactionView { lot_id: Some(lot_id.0), ..line(envelope.event_id.0, kind, *amount) });
        }
        CreditLedgerEvent::LotExpired { lot_id, amount, .. } => {
            let expired = line(envelope.event_id.0, TransactionKind::Expired, negative(*amount));
            rows.put(TransactionView { lot_id: Some(lot_id.0), ..expired });
        }
        CreditLedgerEvent::HoldPlaced { hold_id, generation_id, amount, price_version, .. } => {
            let held = line(hold_id.0, TransactionKind::Held, negative(*amount));
            rows.put(TransactionView {
                generation_id: Some(*generation_id),
                price_version: Some(*price_version),
                ..held
            });
        }
        CreditLedgerEvent::HoldCaptured { hold_id, captured, .. } => {
            if let Some(row) = rows.get_mut(hold_id.0) {
                row.kind = TransactionKind::Spent;
                row.amount = negative(*captured);
                row.settled_at = Some(envelope.decided_at);
            }
        }
        CreditLedgerEvent::HoldVoided { hold_id, .. } => {
            if let Some(row) = rows.get_mut(hold_id.0) {
                row.kind = TransactionKind::Returned;
                row.amount = Credits::ZERO;
                row.settled_at = Some(envelope.decided_at);
            }
        }
        // What was forfeited stands in the log; nobody is left to read a history (A38).
        CreditLedgerEvent::LedgerClosed { .. } => {
            rows.drop_where(("ledger_id", "text"), ledger, |row| row.ledger_id == ledger);
        }
    }
}

/// A page of a ledger's history, newest first.
///
/// # Errors
/// `BadCursor`; `Quarantined`; or when the database failed.
pub async fn page(
    snapshot: &mut Snapshot,
    ledger: LedgerId,
    first: usize,
    after: Option<&str>,
) -> Result<Page<TransactionView>, ReadError> {
    snapshot.whole(NAME, ledger.account).await?;
    let after = snapshot.cursor(after)?;
    let sql = format!(
        "select row_to_json(t) from {} t \
         where ledger_id = $1 and ($2::timestamptz is null or (at, id) < ($2, $3)) order by at desc, id desc limit $4",
        snapshot.table::<TransactionView>()?
    );
    let rows: Vec<sqlx::types::Json<TransactionView>> = sqlx::query_scalar(&sql)
        .bind(ledger.to_string())
        .bind(after.map(|cursor| cursor.at))
        .bind(after.map(|cursor| cursor.id))
        .bind(i64::try_from(first).unwrap_or(i64::MAX - 1) + 1)
        .fetch_all(snapshot.connection())
        .await?;
    let rows = rows.into_iter().map(|sqlx::types::Json(row)| (Cursor { at: row.at, id: row.id }, row)).collect();
    Ok(snapshot.page(rows, first))
}
