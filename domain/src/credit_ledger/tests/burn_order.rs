//! The burn order against a naive reference (U20, L12), and wrong orders that the same check must reject.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use GrantSource::{Plan, Promotional, Purchased};

fn made(n: u64, source: GrantSource, expires: Option<i64>) -> Lot {
    let terms =
        LotTerms { source, reason: reason(n.into(), source), amount: Credits::new(1), expires_at: expires.map(at) };
    // Ids fall as orders rise, so that an order by id is not an order by age.
    let id = lot(u128::from(1000 - n));
    Lot { id, terms, order: n, remaining: terms.amount, held: Credits::ZERO }
}

/// U20 word by word: repeatedly picks the lot before which no other must be spent.
fn reference(mut lots: Vec<Lot>) -> Vec<LotId> {
    let paid = |lot: &Lot| match lot.terms.source {
        Promotional => 0,
        Plan => 1,
        Purchased => 2,
    };
    let sooner = |a: &Lot, b: &Lot| match (a.terms.expires_at, b.terms.expires_at) {
        (Some(one), Some(other)) => one < other,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let first = |a: &Lot, b: &Lot| {
        if sooner(a, b) || sooner(b, a) {
            return sooner(a, b);
        }
        if paid(a) == paid(b) { a.order < b.order } else { paid(a) < paid(b) }
    };
    let mut order = Vec::new();
    while !lots.is_empty() {
        let next = (0..lots.len()).find(|i| lots.iter().all(|other| !first(other, &lots[*i]))).unwrap();
        order.push(lots.remove(next).id);
    }
    order
}

fn agrees(compare: impl Fn(&Lot, &Lot) -> Ordering, lots: &[Lot]) -> bool {
    let mut sorted = lots.to_vec();
    sorted.sort_by(compare);
    sorted.iter().map(|lot| lot.id).collect::<Vec<_>>() == reference(lots.to_vec())
}

fn one_of_each() -> Vec<Lot> {
    let mut lots = Vec::new();
    for source in [Purchased, Plan, Promotional, Purchased, Promotional] {
        for expires in [None, Some(200), Some(100)] {
            let n = u64::try_from(lots.len()).unwrap();
            lots.push(made(n, source, expires));
        }
    }
    lots
}

#[test]
fn l12_wrong_burn_orders_are_rejected() {
    let lots = one_of_each();
    assert!(agrees(burn_order, &lots));
    let none_first = |a: &Lot, b: &Lot| a.terms.expires_at.cmp(&b.terms.expires_at).then_with(|| burn_order(a, b));
    let paid_first = |a: &Lot, b: &Lot| {
        let expiry = |lot: &Lot| (lot.terms.expires_at.is_none(), lot.terms.expires_at);
        expiry(a).cmp(&expiry(b)).then_with(|| b.terms.source.cmp(&a.terms.source)).then_with(|| burn_order(a, b))
    };
    let source_first = |a: &Lot, b: &Lot| a.terms.source.cmp(&b.terms.source).then_with(|| burn_order(a, b));
    let by_id = |a: &Lot, b: &Lot| {
        let key = |lot: &Lot| (lot.terms.expires_at.is_none(), lot.terms.expires_at, lot.terms.source, lot.id);
        key(a).cmp(&key(b))
    };
    assert!(!agrees(|a: &Lot, b: &Lot| burn_order(b, a), &lots), "reversed");
    assert!(!agrees(none_first, &lots), "never-expiring first");
    assert!(!agrees(paid_first, &lots), "paid before promotional");
    assert!(!agrees(source_first, &lots), "source before expiry");
    assert!(!agrees(by_id, &lots), "id before age");
}

#[test]
fn l12_a_ledger_keeps_its_lots_in_burn_order() {
    let mut ledger = CreditLedger::default();
    let expiries = [None, Some(300), Some(100), None, Some(100), Some(200)];
    let sources = [Purchased, Plan, Purchased, Promotional, Promotional, Plan];
    for (n, (expires, source)) in (1..).zip(expiries.into_iter().zip(sources)) {
        perform(&mut ledger, grant(n, source, 10, expires, 0)).unwrap();
    }
    let order: Vec<LotId> = ledger.lots().iter().map(|lot| lot.id).collect();
    assert_eq!(order, [5, 3, 6, 2, 4, 1].map(lot));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l12_the_burn_order_equals_a_naive_reference_sort(
        kinds in prop::collection::vec((prop::sample::select(vec![Promotional, Plan, Purchased]), prop::option::of(0..4_i64)), 0..12),
    ) {
        let lots: Vec<Lot> = (0..).zip(kinds).map(|(n, (source, expires))| made(n, source, expires)).collect();
        prop_assert!(agrees(burn_order, &lots));
    }
}
