//! What a ledger's history may never show, at any prefix (L08): spent credits that were not there, ends of holds that were not open.

use atelier_domain::Credits;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerEvent};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;

/// Folds a ledger's events; each must be possible after those in front of it.
pub fn checked_fold<'a>(events: impl IntoIterator<Item = &'a CreditLedgerEvent>) -> CreditLedger {
    let mut state = CreditLedger::default();
    for (number, event) in events.into_iter().enumerate() {
        let balance: i64 = event.entries().iter().map(|entry| entry.amount.get()).sum();
        assert_eq!(balance, 0, "event {number} does not balance: {event:?}");
        if let Some(wrong) = impossible(&state, event) {
            panic!("event {number}, {event:?}: {wrong}; before it: {state:?}");
        }
        state.apply(event.clone());
        for lot in state.lots() {
            assert!(lot.remaining >= Credits::ZERO && lot.held >= Credits::ZERO, "event {number} overdraws: {lot:?}");
        }
    }
    state
}

/// Why an event cannot stand behind this state.
fn impossible(state: &CreditLedger, event: &CreditLedgerEvent) -> Option<&'static str> {
    match event {
        CreditLedgerEvent::CreditsGranted { lot_id, .. } => {
            state.lots().iter().any(|lot| lot.id == *lot_id).then_some("the lot was there")
        }
        CreditLedgerEvent::HoldPlaced { hold_id, amount, .. } => {
            // What had expired when it was decided is not known here; no more than everything can be held.
            let all: i64 = state.lots().iter().map(|lot| lot.remaining.get()).sum();
            (state.hold(hold_id).is_some() || amount.get() > all).then_some("a hold of more than there was")
        }
        CreditLedgerEvent::HoldCaptured { hold_id, .. } | CreditLedgerEvent::HoldVoided { hold_id, .. } => {
            state.hold(hold_id).is_none().then_some("the hold was not open")
        }
        CreditLedgerEvent::LedgerClosed { .. } => (state.held().get() != 0).then_some("a hold was open"),
        CreditLedgerEvent::LotExpired { lot_id, .. } => {
            let over = |until: DateTime<Utc>| until < DateTime::<Utc>::MAX_UTC;
            let lot = state.lots().iter().find(|lot| lot.id == *lot_id);
            (!lot.is_some_and(|lot| lot.terms.expires_at.is_some_and(over))).then_some("the lot never expires")
        }
    }
}
