//! Expiry: the instant itself, sweeping, and what comes back too late.

use super::*;
use GrantSource::{Plan, Purchased};

#[test]
fn l13_a_lot_is_unspendable_from_its_instant_without_a_sweeper() {
    let before = [granted(1, Plan, 10, Some(100))];
    let refusal = CreditLedgerError::InsufficientCredits { required: Credits::new(1), available: Credits::ZERO };
    given(&before).when(place(7, 1, 99)).then_expect_events(vec![placed(7, &[(1, 1)])]);
    given(&before).when(place(7, 1, 100)).then_expect_error(refusal.clone());
    given(&before).when(place(7, 1, 101)).then_expect_error(refusal);

    let ledger = folded(&before);
    let available = [99, 100, 101].map(|now| ledger.available(at(now)).get());
    assert_eq!(available, [10, 0, 0]);
}

#[test]
fn l13_an_expired_lot_is_passed_over_for_the_next() {
    let before = [granted(1, Plan, 10, Some(100)), granted(2, Purchased, 10, None)];
    given(&before).when(place(7, 10, 100)).then_expect_events(vec![placed(7, &[(2, 10)])]);
}

#[test]
fn l14_a_sweep_writes_off_what_is_left_and_never_the_held_part() {
    let before = [granted(1, Plan, 10, Some(100)), placed(7, &[(1, 4)])];
    given(&before).when(expire(1, 99)).then_expect_events(Vec::new());
    let event = CreditLedgerEvent::LotExpired {
        lot_id: lot(1),
        amount: Credits::new(6),
        entries: vec![line(LedgerAccount::Lot(lot(1)), -6), line(LedgerAccount::Breakage, 6)],
    };
    given(&before).when(expire(1, 100)).then_expect_events(vec![event.clone()]);

    let after = [&before[..], &[event]].concat();
    given(&after).when(expire(1, 101)).then_expect_events(Vec::new());
    given(&after).when(capture(7, 4, 101)).then_expect_events(vec![captured(7, 4, &[])]);
    assert_eq!(folded(&after).held(), Credits::new(4));
}

#[test]
fn l14_a_sweep_of_a_lot_that_is_unknown_spent_or_everlasting_is_a_no_op() {
    let spent = [granted(1, Plan, 5, Some(100)), placed(7, &[(1, 5)]), captured(7, 5, &[])];
    given(&[]).when(expire(1, 100)).then_expect_events(Vec::new());
    given(&spent).when(expire(1, 100)).then_expect_events(Vec::new());
    given(&[granted(1, Plan, 5, None)]).when(expire(1, i64::from(i32::MAX))).then_expect_events(Vec::new());
}

#[test]
fn l14_what_a_void_or_a_capture_returns_after_expiry_expires_at_once() {
    let swept = [granted(1, Plan, 10, Some(100)), granted(2, Purchased, 10, None), placed(7, &[(1, 10), (2, 2)])];
    given(&swept).when(void(7, 99)).then_expect_events(vec![voided(7, &[(1, 10), (2, 2)])]);
    given(&swept).when(void(7, 100)).then_expect_events(vec![voided(7, &[(1, 10), (2, 2)]), expired(1, 10)]);
    given(&swept).when(capture(7, 3, 100)).then_expect_events(vec![captured(7, 3, &[(1, 7), (2, 2)]), expired(1, 7)]);
    given(&swept).when(capture(7, 12, 100)).then_expect_events(vec![captured(7, 12, &[])]);
}

#[test]
fn l14_what_returns_after_expiry_takes_the_unswept_rest_of_its_lot_along() {
    let unswept = [granted(1, Plan, 10, Some(100)), placed(7, &[(1, 4)])];
    let events = vec![voided(7, &[(1, 4)]), expired(1, 10)];
    given(&unswept).when(void(7, 100)).then_expect_events(events.clone());
    assert!(folded(&[&unswept[..], &events].concat()).lots().is_empty());
}

#[test]
fn l14_two_holds_on_an_expired_lot_end_one_after_the_other() {
    let before = [granted(1, Plan, 10, Some(100)), placed(7, &[(1, 4)]), placed(8, &[(1, 5)])];
    given(&before).when(void(7, 100)).then_expect_events(vec![voided(7, &[(1, 4)]), expired(1, 5)]);
    let after = [&before[..], &[voided(7, &[(1, 4)]), expired(1, 5)]].concat();
    given(&after).when(capture(8, 2, 101)).then_expect_events(vec![captured(8, 2, &[(1, 3)]), expired(1, 3)]);
}
