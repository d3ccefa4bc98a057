//! The credit ledger's state: folded from the entries of its events, and from nothing else as far as amounts are concerned.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use super::budget::Budgets;
use super::entry::{minus, plus, total};
use super::hold::{EndedHolds, Hold, HoldPart};
use super::lots::{Lot, LotTerms, Lots};
use super::{CreditLedgerCommand, CreditLedgerError, CreditLedgerEvent, Entry, LedgerAccount};
use crate::{Credits, Decide, HoldId, LotId};

/// One account's credits in one environment: the open lots, the open holds, and a bounded memory of what has ended (DESIGN 4).
///
/// Equal folds serialise to equal bytes: everything is kept in a defined order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditLedger {
    pub(super) lots: Lots,
    pub(super) holds: BTreeMap<HoldId, Hold>,
    pub(super) ended_holds: EndedHolds,
    pub(super) closed: bool,
    pub(super) budgets: Budgets,
}

impl CreditLedger {
    /// What can be spent at `now`: what is left, unheld, of the lots that have not expired by then (L08, L13).
    #[must_use]
    pub fn available(&self, now: DateTime<Utc>) -> Credits {
        total(self.lots.spendable(now).map(|lot| lot.remaining))
    }

    /// What open holds have set aside.
    #[must_use]
    pub fn held(&self) -> Credits {
        self.lots.held()
    }

    /// An open hold; `None` when it never was or has ended.
    #[must_use]
    pub fn hold(&self, id: &HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// The lots of which something is left or held, in burn order (U20); among them those expired and not yet swept.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        self.lots.open()
    }

    /// The open holds, oldest first.
    pub fn holds(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.holds.iter().map(|(id, hold)| (*id, hold))
    }

    /// Whether the ledger was closed with its account.
    #[must_use]
    pub const fn closed(&self) -> bool {
        self.closed
    }

    fn place_hold(&mut self, id: HoldId, mut hold: Hold, entries: &[Entry]) {
        for (lot_id, amount) in lot_lines(entries) {
            let taken = minus(Credits::ZERO, amount);
            self.lots.post(lot_id, amount, taken);
            hold.parts.push(HoldPart { lot_id, amount: taken });
        }
        if let Some(charge) = hold.budget {
            self.budgets.spend(charge, hold.amount());
        }
        self.holds.insert(id, hold);
    }

    fn write_off(&mut self, entries: &[Entry]) {
        for (lot_id, amount) in lot_lines(entries) {
            self.lots.post(lot_id, amount, Credits::ZERO);
        }
    }

    fn end_hold(&mut self, id: HoldId, entries: &[Entry]) {
        let Some(hold) = self.holds.remove(&id) else { return };
        let mut returned = Credits::ZERO;
        for part in &hold.parts {
            let back = total(lot_lines(entries).filter(|(lot, _)| *lot == part.lot_id).map(|(_, amount)| amount));
            self.lots.post(part.lot_id, back, minus(Credits::ZERO, part.amount));
            returned = plus(returned, back);
        }
        if let Some(charge) = hold.budget {
            self.budgets.give_back(charge, returned);
        }
        self.ended_holds.remember(id);
    }
}

impl Aggregate for CreditLedger {
    const TYPE: &'static str = "CreditLedger";
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
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    /// Total: an event no decision could have made is folded as far as it makes sense, and never panics.
    fn apply(&mut self, event: Self::Event) {
        match event {
            CreditLedgerEvent::CreditsGranted { lot_id, source, reason, expires_at, entries, .. } => {
                let amount = total(lot_lines(&entries).map(|(_, amount)| amount));
                self.lots.grant(lot_id, LotTerms { source, reason, amount, expires_at });
            }
            CreditLedgerEvent::HoldPlaced { hold_id, generation_id, price_version, budget, entries, .. } => {
                // A part for each line but the one of what is held.
                let parts = Vec::with_capacity(entries.len().saturating_sub(1));
                self.place_hold(hold_id, Hold { generation_id, price_version, budget, parts }, &entries);
            }
            CreditLedgerEvent::HoldCaptured { hold_id, entries, .. }
            | CreditLedgerEvent::HoldVoided { hold_id, entries, .. } => self.end_hold(hold_id, &entries),
            CreditLedgerEvent::LotExpired { entries, .. } => self.write_off(&entries),
            CreditLedgerEvent::LedgerClosed { entries, .. } => {
                self.write_off(&entries);
                self.closed = true;
            }
        }
    }
}

/// The lines that move a lot. The other accounts of the chart are sums over all ledgers, or follow from the holds.
fn lot_lines(entries: &[Entry]) -> impl Iterator<Item = (LotId, Credits)> {
    entries.iter().filter_map(|entry| match entry.account {
        LedgerAccount::Lot(lot_id) => Some((lot_id, entry.amount)),
        LedgerAccount::Held
        | LedgerAccount::Debt
        | LedgerAccount::IssuedPurchased
        | LedgerAccount::IssuedPromotional
        | LedgerAccount::Consumed
        | LedgerAccount::Breakage
        | LedgerAccount::Forfeited
        | LedgerAccount::Adjustments => None,
    })
}
