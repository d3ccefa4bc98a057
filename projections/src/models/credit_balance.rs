//! The credit balance: what is available and held, lot by lot (V24). Folded from entries alone, as an auditor would.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::credit_ledger::{CreditLedgerEvent, Entry, GrantSource, LedgerAccount};
use atelier_domain::{Credits, Envelope, LedgerId, LogEvent, LotId};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{ReadError, Snapshot};

/// The projection.
pub struct CreditBalance;

/// Its name.
pub const NAME: &str = "CreditBalance";

/// Credits of a lot that expires within this time are "expiring soon".
const SOON: TimeDelta = TimeDelta::days(7);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    #[serde(with = "crate::read_row::as_text")]
    ledger_id: LedgerId,
    account_id: Uuid,
    held: Credits,
    lots: Vec<LotRow>,
}

/// A lot with something left in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotRow {
    /// The lot.
    pub lot_id: LotId,
    /// Where its credits come from.
    pub source: GrantSource,
    /// How many were granted.
    pub granted: Credits,
    /// How many are left, neither spent nor held.
    pub remaining: Credits,
    /// When they expire, if ever.
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl ReadRow for Row {
    type Key = LedgerId;
    const TABLE: &'static str = "credit_balance_v1";
    const KEY: &'static str = "ledger_id";
    const KEY_TYPE: &'static str = "text";

    fn key(&self) -> LedgerId {
        self.ledger_id
    }
}

#[async_trait]
impl Projection for CreditBalance {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[Row::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let ledgers = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::CreditLedger(ledger, _) => Some(*ledger),
            LogEvent::Account(..) | LogEvent::Generation(..) => None,
        });
        let mut rows = Rows::<Row>::load(connection, ledgers).await?;
        for envelope in events {
            let LogEvent::CreditLedger(ledger, event) = &envelope.event else { continue };
            if let CreditLedgerEvent::LedgerClosed { .. } = event {
                // Nothing is left, and nothing comes: the account is being erased (A38).
                rows.remove(*ledger);
                continue;
            }
            let new =
                || Row { ledger_id: *ledger, account_id: ledger.account.0, held: Credits::ZERO, lots: Vec::new() };
            fold(rows.get_or_put(*ledger, new), event);
        }
        rows.save(connection).await
    }
}

fn fold(row: &mut Row, event: &CreditLedgerEvent) {
    match event {
        CreditLedgerEvent::CreditsGranted { lot_id, source, amount, expires_at, .. } => row.lots.push(LotRow {
            lot_id: *lot_id,
            source: *source,
            granted: *amount,
            remaining: Credits::ZERO,
            expires_at: *expires_at,
        }),
        CreditLedgerEvent::HoldPlaced { .. }
        | CreditLedgerEvent::HoldCaptured { .. }
        | CreditLedgerEvent::HoldVoided { .. }
        | CreditLedgerEvent::LotExpired { .. }
        | CreditLedgerEvent::LedgerClosed { .. } => {}
    }
    for Entry { account, amount } in event.entries() {
        match account {
            LedgerAccount::Held => row.held = plus(row.held, *amount),
            LedgerAccount::Lot(lot) => {
                if let Some(lot) = row.lots.iter_mut().find(|known| known.lot_id == *lot) {
                    lot.remaining = plus(lot.remaining, *amount);
                }
            }
            LedgerAccount::Debt
            | LedgerAccount::IssuedPurchased
            | LedgerAccount::IssuedPromotional
            | LedgerAccount::Consumed
            | LedgerAccount::Breakage
            | LedgerAccount::Forfeited
            | LedgerAccount::Adjustments => {}
        }
    }
    // A lot may get something back while anything is held; with nothing held, an empty lot is over.
    if row.held == Credits::ZERO {
        row.lots.retain(|lot| lot.remaining != Credits::ZERO);
    }
}

fn plus(a: Credits, b: Credits) -> Credits {
    a.checked_add(b).expect("a ledger's balances stay within Credits::MAX, so their sums do not overflow")
}

/// A balance at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceView {
    /// What can be spent now.
    pub available: Credits,
    /// What open jobs hold.
    pub held: Credits,
    /// What expires within a week.
    pub expiring_soon: Credits,
    /// The lots with something left, soonest expiry first.
    pub lots: Vec<LotRow>,
}

/// A ledger's balance as of `now`: a lot is unspendable from its expiry on, swept or not (L13).
///
/// # Errors
/// `Quarantined`; or when the database failed.
pub async fn of(snapshot: &mut Snapshot, ledger: LedgerId, now: DateTime<Utc>) -> Result<BalanceView, ReadError> {
    snapshot.whole(NAME, ledger.account).await?;
    let row = snapshot.rows::<Row>([ledger]).await?.remove(ledger);
    let (held, mut lots) = row.map_or((Credits::ZERO, Vec::new()), |row| (row.held, row.lots));
    lots.retain(|lot| lot.remaining.is_positive() && lot.expires_at.is_none_or(|at| at > now));
    lots.sort_by_key(|lot| (lot.expires_at.is_none(), lot.expires_at, lot.lot_id));
    let available = lots.iter().fold(Credits::ZERO, |sum, lot| plus(sum, lot.remaining));
    let soon = lots.iter().filter(|lot| lot.expires_at.is_some_and(|at| at <= now + SOON));
    let expiring_soon = soon.fold(Credits::ZERO, |sum, lot| plus(sum, lot.remaining));
    Ok(BalanceView { available, held, expiring_soon, lots })
}
