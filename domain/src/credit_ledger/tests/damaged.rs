//! A damaged log: folding and deciding never panic, whatever the events say (L21).

use proptest::prelude::*;

use super::*;

fn any_amount() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), any::<i64>(), -9..9_i64]
}

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let account = prop_oneof![
        (0..3_u128).prop_map(|n| LedgerAccount::Lot(lot(n))),
        Just(LedgerAccount::Held),
        Just(LedgerAccount::Consumed)
    ];
    let entry = (account, any_amount()).prop_map(|(account, amount)| line(account, amount));
    prop::collection::vec(entry, 0..4)
}

fn any_event() -> impl Strategy<Value = CreditLedgerEvent> {
    (0..5, 0..3_u128, any_amount(), any_entries()).prop_map(|(kind, n, amount, entries)| {
        let amount = Credits::new(amount);
        let (lot_id, hold_id, generation_id) = (lot(n), hold(n), hold(n).into());
        let source = GrantSource::Plan;
        let day = at(0).date_naive() + TimeDelta::days(amount.get() % 3);
        let budget = (n > 0).then_some(BudgetCharge { key_id: key(n), caps: SpendCaps::default(), day });
        match kind {
            0 => CreditLedgerEvent::CreditsGranted {
                lot_id,
                source,
                reason: reason(n, source),
                amount,
                expires_at: Some(at(5)),
                entries,
            },
            1 => CreditLedgerEvent::HoldPlaced { hold_id, generation_id, amount, price_version: 1, budget, entries },
            2 => {
                CreditLedgerEvent::HoldCaptured { hold_id, generation_id, captured: amount, price_version: 1, entries }
            }
            3 => CreditLedgerEvent::HoldVoided { hold_id, generation_id, returned: amount, entries },
            _ => CreditLedgerEvent::LotExpired { lot_id, amount, entries },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l21_no_event_and_no_amount_makes_the_ledger_panic(
        events in prop::collection::vec(any_event(), 0..20),
        amount in any_amount(),
        now in 0..10_i64,
    ) {
        let ledger = folded(&events);
        let source = GrantSource::Plan;
        for n in 0..3 {
            for command in [
                grant(n, source, amount, None, now),
                place(n, amount, now),
                capture(n, amount, now),
                void(n, now),
                expire(n, now),
            ] {
                let mut after = ledger.clone();
                let decided = perform(&mut after, command);
                // Only a decision that made events may change anything.
                prop_assert_eq!(decided.is_ok_and(|events| !events.is_empty()), after != ledger);
            }
        }
    }

    #[test]
    fn d3_whatever_was_folded_survives_a_snapshot(events in prop::collection::vec(any_event(), 0..12), cut in 0..12_usize) {
        let (before, after) = events.split_at(cut.min(events.len()));
        let snapshot = serde_json::to_vec(&folded(before)).unwrap();
        let read_back: CreditLedger = serde_json::from_slice(&snapshot).unwrap();
        let folded_on = after.iter().cloned().fold(read_back, |mut ledger, event| {
            ledger.apply(event);
            ledger
        });
        let bytes = serde_json::to_vec(&folded_on).unwrap();
        prop_assert_eq!(&folded_on, &folded(&events));
        prop_assert_eq!(bytes, serde_json::to_vec(&folded(&events)).unwrap());
    }
}
