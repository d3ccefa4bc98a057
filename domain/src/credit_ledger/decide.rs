//! The credit ledger's decisions: pure functions from the state and a command to events, or to a refusal.

use chrono::{DateTime, Utc};

use super::entry::{minus, plus, total};
use super::lots::LotTerms;
use super::{
    CreditLedger, CreditLedgerCommand, CreditLedgerError, CreditLedgerEvent, Entry, ForfeitReason, GrantSource, Hold,
    HoldLimits, HoldPart, LedgerAccount,
};
use crate::{Credits, Decide, GenerationId, HoldId, LotId};

/// A hold as it is asked for.
struct NewHold {
    hold_id: HoldId,
    generation_id: GenerationId,
    amount: Credits,
    price_version: u32,
}

type Decision = Result<Vec<CreditLedgerEvent>, CreditLedgerError>;

impl Decide for CreditLedger {
    /// 2: a ledger can be closed. 3: what capped keys have spent.
    const STATE_FORM: &'static str = "3";

    fn decide(&self, command: CreditLedgerCommand) -> Decision {
        match command {
            CreditLedgerCommand::GrantCredits { .. } | CreditLedgerCommand::PlaceHold { .. } if self.closed => {
                Err(CreditLedgerError::Closed)
            }
            CreditLedgerCommand::Close { now } => self.close(now),
            CreditLedgerCommand::GrantCredits { lot_id, reason, amount, expires_at, now } => {
                let source = reason.source().ok_or(CreditLedgerError::ReasonMissing)?;
                self.grant(lot_id, LotTerms { source, reason, amount, expires_at }, now)
            }
            CreditLedgerCommand::PlaceHold { hold_id, generation_id, amount, price_version, limits, now } => {
                self.place(NewHold { hold_id, generation_id, amount, price_version }, limits, now)
            }
            CreditLedgerCommand::CaptureHold { hold_id, amount, now } => self.capture(hold_id, amount, now),
            CreditLedgerCommand::VoidHold { hold_id, now } => self.void(hold_id, now),
            CreditLedgerCommand::ExpireLot { lot_id, now } => {
                Ok(self.expire(lot_id, Credits::ZERO, now).into_iter().collect())
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        // The nodes of a B-tree are about half full, and most holds take from one lot or two.
        let hold = 2 * (size_of::<(HoldId, Hold)>() + size_of::<HoldPart>());
        self.holds.len() * hold + self.lots.heap_bytes() + self.ended_holds.heap_bytes() + self.budgets.heap_bytes()
    }
}

impl CreditLedger {
    fn grant(&self, lot_id: LotId, terms: LotTerms, now: DateTime<Utc>) -> Decision {
        if let Some(known) = self.lots.terms(lot_id) {
            return if known.repeated_by(&terms) { Ok(Vec::new()) } else { Err(CreditLedgerError::IdReused) };
        }
        let LotTerms { source, reason, amount, expires_at } = terms;
        in_range(amount)?;
        if terms.expired(now) {
            return Err(CreditLedgerError::AlreadyExpired);
        }
        let room = minus(Credits::MAX, self.lots.posted()).max(Credits::ZERO);
        if amount > room {
            return Err(CreditLedgerError::BalanceFull { most: Credits::MAX, room });
        }
        let issued = match source {
            GrantSource::Promotional | GrantSource::Plan => LedgerAccount::IssuedPromotional,
            GrantSource::Purchased => LedgerAccount::IssuedPurchased,
        };
        let entries = vec![taken(issued, amount), Entry::new(LedgerAccount::Lot(lot_id), amount)];
        Ok(vec![CreditLedgerEvent::CreditsGranted { lot_id, source, reason, amount, expires_at, entries }])
    }

    fn place(&self, new: NewHold, limits: HoldLimits, now: DateTime<Utc>) -> Decision {
        let NewHold { hold_id, generation_id, amount, price_version } = new;
        if let Some(open) = self.hold(&hold_id) {
            let same =
                open.generation_id == generation_id && open.amount() == amount && open.price_version == price_version;
            return if same { Ok(Vec::new()) } else { Err(CreditLedgerError::IdReused) };
        }
        if self.ended_holds.contains(hold_id) {
            return Err(CreditLedgerError::HoldEnded);
        }
        in_range(amount)?;
        if let Some(most) =
            limits.at_once.filter(|most| u32::try_from(self.holds.len()).is_ok_and(|open| open >= *most))
        {
            return Err(CreditLedgerError::TooManyHolds(most));
        }
        let budget = limits.budget.map(|budget| self.budgets.charge(budget, amount, now)).transpose()?;
        let available = self.available(now);
        if amount > available {
            return Err(CreditLedgerError::InsufficientCredits { required: amount, available });
        }
        let mut entries = Vec::new();
        let mut missing = amount;
        for lot in self.lots.spendable(now) {
            if missing == Credits::ZERO {
                break;
            }
            let part = missing.min(lot.remaining);
            entries.push(taken(LedgerAccount::Lot(lot.id), part));
            missing = minus(missing, part);
        }
        entries.push(Entry::new(LedgerAccount::Held, amount));
        Ok(vec![CreditLedgerEvent::HoldPlaced { hold_id, generation_id, amount, price_version, budget, entries }])
    }

    fn capture(&self, hold_id: HoldId, captured: Credits, now: DateTime<Utc>) -> Decision {
        let hold = self.hold(&hold_id).ok_or(CreditLedgerError::HoldNotOpen)?;
        let held = hold.amount();
        if captured < Credits::ZERO {
            return Err(CreditLedgerError::AmountOutOfRange);
        }
        if captured > held {
            return Err(CreditLedgerError::CaptureExceedsHold { requested: captured, held });
        }
        let returned = returned(hold, captured);
        let mut entries = vec![taken(LedgerAccount::Held, held)];
        if captured.is_positive() {
            entries.push(Entry::new(LedgerAccount::Consumed, captured));
        }
        entries.extend(returned.iter().map(|(lot_id, back)| Entry::new(LedgerAccount::Lot(*lot_id), *back)));
        let Hold { generation_id, price_version, .. } = *hold;
        let ended = CreditLedgerEvent::HoldCaptured { hold_id, generation_id, captured, price_version, entries };
        Ok(self.followed_by_expiry(ended, &returned, now))
    }

    fn void(&self, hold_id: HoldId, now: DateTime<Utc>) -> Decision {
        let hold = self.hold(&hold_id).ok_or(CreditLedgerError::HoldNotOpen)?;
        let held = hold.amount();
        let returned = returned(hold, Credits::ZERO);
        let mut entries = vec![taken(LedgerAccount::Held, held)];
        entries.extend(returned.iter().map(|(lot_id, back)| Entry::new(LedgerAccount::Lot(*lot_id), *back)));
        let generation_id = hold.generation_id;
        let ended = CreditLedgerEvent::HoldVoided { hold_id, generation_id, returned: held, entries };
        Ok(self.followed_by_expiry(ended, &returned, now))
    }

    /// What has expired by now expires; the rest is given up. The balance is zero afterwards (A38).
    fn close(&self, now: DateTime<Utc>) -> Decision {
        if self.closed {
            return Ok(Vec::new());
        }
        if !self.holds.is_empty() {
            return Err(CreditLedgerError::HoldsOpen);
        }
        let mut events: Vec<_> =
            self.lots.open().iter().filter_map(|lot| self.expire(lot.id, Credits::ZERO, now)).collect();
        let left: Vec<_> = self.lots.spendable(now).map(|lot| (lot.id, lot.remaining)).collect();
        let forfeited = total(left.iter().map(|(_, amount)| *amount));
        let mut entries: Vec<_> = left.iter().map(|(lot, amount)| taken(LedgerAccount::Lot(*lot), *amount)).collect();
        entries.extend(forfeited.is_positive().then_some(Entry::new(LedgerAccount::Forfeited, forfeited)));
        events.push(CreditLedgerEvent::LedgerClosed { forfeited, reason: ForfeitReason::AccountDeleted, entries });
        Ok(events)
    }

    /// What comes back to a lot after its expiry expires at once, there is no grace (L14).
    fn followed_by_expiry(
        &self,
        ended: CreditLedgerEvent,
        returned: &[(LotId, Credits)],
        now: DateTime<Utc>,
    ) -> Vec<CreditLedgerEvent> {
        let mut events = vec![ended];
        events.extend(returned.iter().filter_map(|(lot_id, back)| self.expire(*lot_id, *back, now)));
        events
    }

    /// The write-off of all that is left of a lot and of what comes back to it; `None` before its time, or when there is nothing.
    fn expire(&self, lot_id: LotId, back: Credits, now: DateTime<Utc>) -> Option<CreditLedgerEvent> {
        let lot = self.lots.get(lot_id).filter(|lot| lot.terms.expired(now))?;
        let amount = plus(lot.remaining, back);
        let entries = vec![taken(LedgerAccount::Lot(lot_id), amount), Entry::new(LedgerAccount::Breakage, amount)];
        amount.is_positive().then_some(CreditLedgerEvent::LotExpired { lot_id, amount, entries })
    }
}

/// What each lot gets back when `captured` of a hold is paid: the first lots in burn order pay first (L11).
fn returned(hold: &Hold, captured: Credits) -> Vec<(LotId, Credits)> {
    let mut due = captured;
    let mut returned = Vec::new();
    for part in &hold.parts {
        let paid = due.min(part.amount);
        due = minus(due, paid);
        if paid < part.amount {
            returned.push((part.lot_id, minus(part.amount, paid)));
        }
    }
    returned
}

/// One line that takes from an account.
fn taken(account: LedgerAccount, amount: Credits) -> Entry {
    Entry::new(account, minus(Credits::ZERO, amount))
}

fn in_range(amount: Credits) -> Result<(), CreditLedgerError> {
    if amount.is_positive() && amount <= Credits::MAX { Ok(()) } else { Err(CreditLedgerError::AmountOutOfRange) }
}
