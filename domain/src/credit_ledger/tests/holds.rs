//! Placing, capturing and voiding holds.

use proptest::prelude::*;

use super::*;
use GrantSource::{Promotional, Purchased};

fn insufficient(required: i64, available: i64) -> CreditLedgerError {
    CreditLedgerError::InsufficientCredits { required: Credits::new(required), available: Credits::new(available) }
}

/// Three lots, in burn order 2 (soonest), 3 (promotional), 1; a hold of 25 over all of them.
fn three_lots() -> Vec<CreditLedgerEvent> {
    vec![granted(1, Purchased, 10, None), granted(2, Purchased, 10, Some(100)), granted(3, Promotional, 10, None)]
}

fn three_lots_held() -> Vec<CreditLedgerEvent> {
    [three_lots(), vec![placed(7, &[(2, 10), (3, 10), (1, 5)])]].concat()
}

#[test]
fn l01_a_hold_moves_from_the_lots_in_burn_order_to_held() {
    let event = CreditLedgerEvent::HoldPlaced {
        hold_id: hold(7),
        generation_id: GenerationId(Uuid::from_u128(70)),
        amount: Credits::new(25),
        price_version: 4,
        budget: None,
        entries: vec![
            line(LedgerAccount::Lot(lot(2)), -10),
            line(LedgerAccount::Lot(lot(3)), -10),
            line(LedgerAccount::Lot(lot(1)), -5),
            line(LedgerAccount::Held, 25),
        ],
    };
    let command = CreditLedgerCommand::PlaceHold {
        hold_id: hold(7),
        generation_id: GenerationId(Uuid::from_u128(70)),
        amount: Credits::new(25),
        price_version: 4,
        limits: HoldLimits::default(),
        now: at(0),
    };
    given(&three_lots()).when(command).then_expect_events(vec![event.clone()]);

    let ledger = folded(&[three_lots(), vec![event]].concat());
    assert_eq!((ledger.held(), ledger.available(at(0))), (Credits::new(25), Credits::new(5)));
    let open = ledger.hold(&hold(7)).unwrap();
    assert_eq!((open.amount(), open.price_version), (Credits::new(25), 4));
}

#[test]
fn l08_a_hold_of_more_than_is_available_says_what_is_needed_and_what_is_there() {
    given(&three_lots()).when(place(7, 31, 0)).then_expect_error(insufficient(31, 30));
    given(&three_lots_held()).when(place(8, 6, 0)).then_expect_error(insufficient(6, 5));
    given(&three_lots_held()).when(place(8, 5, 0)).then_expect_events(vec![placed(8, &[(1, 5)])]);
    given(&[]).when(place(7, 1, 0)).then_expect_error(insufficient(1, 0));
}

#[test]
fn l21_a_hold_outside_one_to_max_is_refused() {
    for amount in [0, -1, i64::MIN, i64::MAX, Credits::MAX.get() + 1] {
        given(&three_lots()).when(place(7, amount, 0)).then_expect_error(CreditLedgerError::AmountOutOfRange);
    }
}

#[test]
fn inv04_a_repeated_hold_is_a_no_op_while_open_and_refused_with_other_terms() {
    given(&three_lots_held()).when(place(7, 25, 1)).then_expect_events(Vec::new());
    given(&three_lots_held()).when(place(7, 24, 1)).then_expect_error(CreditLedgerError::IdReused);
    for (generation, price_version) in [(7, 2), (8, 1)] {
        let generation_id = GenerationId(Uuid::from_u128(generation));
        let (hold_id, amount, limits) = (hold(7), Credits::new(25), HoldLimits::default());
        let command =
            CreditLedgerCommand::PlaceHold { hold_id, generation_id, amount, price_version, limits, now: at(1) };
        given(&three_lots_held()).when(command).then_expect_error(CreditLedgerError::IdReused);
    }
}

#[test]
fn l10_a_hold_that_ended_is_not_placed_captured_or_voided_again() {
    let back = [(2, 10), (3, 10), (1, 5)];
    for end in [captured(7, 25, &[]), captured(7, 0, &back), voided(7, &back)] {
        let before = [three_lots_held(), vec![end]].concat();
        given(&before).when(place(7, 25, 1)).then_expect_error(CreditLedgerError::HoldEnded);
        given(&before).when(capture(7, 1, 1)).then_expect_error(CreditLedgerError::HoldNotOpen);
        given(&before).when(capture(7, 0, 1)).then_expect_error(CreditLedgerError::HoldNotOpen);
        given(&before).when(void(7, 1)).then_expect_error(CreditLedgerError::HoldNotOpen);
        assert_eq!(folded(&before).hold(&hold(7)), None);
    }
}

#[test]
fn l10_a_hold_that_never_was_is_neither_captured_nor_voided() {
    given(&three_lots()).when(capture(7, 1, 0)).then_expect_error(CreditLedgerError::HoldNotOpen);
    given(&three_lots()).when(void(7, 0)).then_expect_error(CreditLedgerError::HoldNotOpen);
}

#[test]
fn l11_a_capture_is_paid_in_burn_order_and_the_rest_returns_to_its_lots() {
    for (paid, back) in [
        (25, vec![]),
        (24, vec![(1, 1)]),
        (20, vec![(1, 5)]),
        (15, vec![(3, 5), (1, 5)]),
        (10, vec![(3, 10), (1, 5)]),
        (1, vec![(2, 9), (3, 10), (1, 5)]),
        (0, vec![(2, 10), (3, 10), (1, 5)]),
    ] {
        given(&three_lots_held()).when(capture(7, paid, 1)).then_expect_events(vec![captured(7, paid, &back)]);
        let ledger = folded(&[three_lots_held(), vec![captured(7, paid, &back)]].concat());
        assert_eq!(ledger.available(at(1)), Credits::new(30 - paid));
        assert_eq!(ledger.held(), Credits::ZERO);
    }
}

#[test]
fn l11_a_capture_past_the_hold_or_below_zero_is_refused() {
    for amount in [26, i64::MAX] {
        let requested = Credits::new(amount);
        let held = Credits::new(25);
        given(&three_lots_held())
            .when(capture(7, amount, 1))
            .then_expect_error(CreditLedgerError::CaptureExceedsHold { requested, held });
    }
    for amount in [-1, i64::MIN] {
        given(&three_lots_held()).when(capture(7, amount, 1)).then_expect_error(CreditLedgerError::AmountOutOfRange);
    }
}

#[test]
fn l22_a_void_returns_everything_and_costs_nothing() {
    let back = [(2, 10), (3, 10), (1, 5)];
    given(&three_lots_held()).when(void(7, 1)).then_expect_events(vec![voided(7, &back)]);
    let ledger = folded(&[three_lots_held(), vec![voided(7, &back)]].concat());
    assert_eq!((ledger.available(at(1)), ledger.held()), (Credits::new(30), Credits::ZERO));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l08_a_drain_accepts_exactly_balance_over_price_holds(
        amounts in prop::collection::vec(1..200_i64, 1..6),
        price in 1..60_i64,
    ) {
        let mut ledger = CreditLedger::default();
        for (n, amount) in (1..).zip(&amounts) {
            perform(&mut ledger, grant(n, Purchased, *amount, Some(100 + *amount), 0)).unwrap();
        }
        let balance: i64 = amounts.iter().sum();
        let attempts = u128::try_from(balance / price + 3).unwrap();
        let accepted = (1..=attempts).filter(|n| perform(&mut ledger, place(*n, price, 0)).is_ok()).count();
        prop_assert_eq!(i64::try_from(accepted).unwrap(), balance / price);
        prop_assert_eq!(ledger.available(at(0)), Credits::new(balance % price));
    }
}
