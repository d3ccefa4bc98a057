//! What leaves the state, what the ledger still recognises afterwards, and how much that may be.

use super::*;
use GrantSource::Purchased;

/// A time-ordered id, as a request makes them: its instant in milliseconds and something random.
fn made(millis: u64, random: u8) -> u128 {
    uuid::Builder::from_unix_timestamp_millis(millis, &[random; 10]).into_uuid().as_u128()
}

fn ledger_with(credits: i64) -> CreditLedger {
    folded(&[granted(1, Purchased, credits, None)])
}

fn spend(ledger: &mut CreditLedger, n: u128) {
    perform(ledger, place(n, 1, 0)).unwrap();
    perform(ledger, capture(n, 1, 0)).unwrap();
}

#[test]
fn ended_holds_and_spent_lots_leave_the_state() {
    let mut ledger = ledger_with(1);
    spend(&mut ledger, 7);
    assert!(ledger.lots().is_empty());
    assert_eq!(ledger.hold(&hold(7)), None);
    assert_eq!((ledger.held(), ledger.available(at(0))), (Credits::ZERO, Credits::ZERO));
}

#[test]
fn l10_a_time_ordered_hold_is_never_placed_again_however_many_end_after_it() {
    let mut ledger = ledger_with(10_000);
    let ids: Vec<u128> = (0..3000).map(|n| made(1_000_000 + n, u8::try_from(n % 251).unwrap())).collect();
    ids.iter().for_each(|id| spend(&mut ledger, *id));
    for id in ids {
        assert_eq!(perform(&mut ledger, place(id, 1, 0)), Err(CreditLedgerError::HoldEnded));
    }
    assert!(perform(&mut ledger, place(made(1_003_000, 0), 1, 0)).is_ok());
}

#[test]
fn l10_a_hold_older_than_all_that_is_remembered_is_refused_and_a_younger_one_is_not() {
    let mut ledger = ledger_with(10_000);
    for n in 0..=1000 {
        spend(&mut ledger, made(5000 + n, 1));
    }
    assert_eq!(perform(&mut ledger, place(made(5000, 2), 1, 0)), Err(CreditLedgerError::HoldEnded));
    assert!(perform(&mut ledger, place(made(5001, 2), 1, 0)).is_ok());
    assert_eq!(perform(&mut ledger, place(made(5001, 1), 1, 0)), Err(CreditLedgerError::HoldEnded));
}

#[test]
fn inv04_a_spent_lot_is_recognised_until_a_thousand_others_are_spent() {
    let mut ledger = CreditLedger::default();
    let one = |n: u128| grant(n, Purchased, 1, None, 0);
    let use_up = |ledger: &mut CreditLedger, n: u128| {
        perform(ledger, one(n)).unwrap();
        spend(ledger, n);
    };
    (1..=1000).for_each(|n| use_up(&mut ledger, n));
    for n in 1..=1000 {
        assert_eq!(perform(&mut ledger, one(n)), Ok(Vec::new()));
    }
    use_up(&mut ledger, 1001);
    assert_eq!(perform(&mut ledger, one(2)), Ok(Vec::new()));
    assert_eq!(perform(&mut ledger, one(1)).map(|events| events.len()), Ok(1), "the stated bound");
}

#[test]
fn inv04_an_expiring_lot_is_safe_beyond_that_bound_once_it_is_over() {
    let mut ledger = CreditLedger::default();
    let old = grant(1, Purchased, 1, Some(10), 0);
    perform(&mut ledger, old).unwrap();
    spend(&mut ledger, 1);
    for n in 2..=1002 {
        perform(&mut ledger, grant(n, Purchased, 1, None, 0)).unwrap();
        spend(&mut ledger, n);
    }
    let again = grant(1, Purchased, 1, Some(10), 10);
    assert_eq!(perform(&mut ledger, again), Err(CreditLedgerError::AlreadyExpired));
}

#[test]
fn the_state_stays_bounded_whatever_the_history() {
    let mut ledger = ledger_with(10_000);
    let size = |ledger: &CreditLedger| serde_json::to_vec(ledger).unwrap().len();
    (0..1100).for_each(|n| spend(&mut ledger, made(1_000_000_000_000 + n, 1)));
    let full = size(&ledger);
    (1100..3000).for_each(|n| spend(&mut ledger, made(1_000_000_000_000 + n, 1)));
    assert_eq!(size(&ledger), full);
}

#[test]
fn l10_holds_that_end_in_any_order_are_never_placed_again() {
    let mut ledger = ledger_with(10_000);
    // Every 701st of 1,500: far apart, each once.
    let ids: Vec<u128> = (0..1500).map(|n| made(1_000_000 + n * 701 % 1500, 1)).collect();
    for id in &ids {
        perform(&mut ledger, place(*id, 1, 0)).unwrap();
    }
    for (count, id) in (1..).zip(&ids) {
        perform(&mut ledger, capture(*id, 1, 0)).unwrap();
        if count % 250 == 0 {
            let read_back: CreditLedger = serde_json::from_slice(&serde_json::to_vec(&ledger).unwrap()).unwrap();
            assert_eq!(read_back, ledger);
            ledger = read_back;
        }
    }
    for id in ids {
        assert_eq!(perform(&mut ledger, place(id, 1, 0)), Err(CreditLedgerError::HoldEnded));
    }
    // Of 1,500 the youngest thousand are remembered one by one, so a new id of their age is no stranger.
    assert!(perform(&mut ledger, place(made(1_000_500, 2), 1, 0)).is_ok());
    assert_eq!(perform(&mut ledger, place(made(1_000_499, 2), 1, 0)), Err(CreditLedgerError::HoldEnded));
}

#[test]
fn l10_a_hold_that_stayed_open_while_a_thousand_younger_ones_ended_is_not_placed_again() {
    let mut ledger = ledger_with(10_000);
    let old = made(1_000_000, 1);
    perform(&mut ledger, place(old, 1, 0)).unwrap();
    (1..=1000).for_each(|n| spend(&mut ledger, made(1_000_000 + n, 1)));
    assert_eq!(perform(&mut ledger, place(old, 1, 0)), Ok(Vec::new()), "it is still open");
    perform(&mut ledger, void(old, 0)).unwrap();
    assert_eq!(perform(&mut ledger, place(old, 1, 0)), Err(CreditLedgerError::HoldEnded));
    assert!(perform(&mut ledger, place(made(1_000_001, 2), 1, 0)).is_ok(), "nothing younger was forgotten");
}

#[test]
fn d3_a_ledger_says_about_how_big_it_is() {
    let mut ledger = ledger_with(10_000);
    let bare = ledger.heap_bytes();
    (0..1000).for_each(|n| spend(&mut ledger, made(1_000_000 + n, 1)));
    let remembering = ledger.heap_bytes();
    (0..300).for_each(|n| drop(perform(&mut ledger, place(made(2_000_000 + n, 1), 1, 0)).unwrap()));
    let holding = ledger.heap_bytes();
    assert!((16_000..40_000).contains(&(remembering - bare)), "a thousand ids: {bare} {remembering}");
    let holds = 300 * size_of::<(HoldId, Hold)>();
    assert!((holds..4 * holds).contains(&(holding - remembering)), "300 holds: {remembering} {holding}");
    assert_eq!(CreditLedger::default().heap_bytes(), 0);
}
