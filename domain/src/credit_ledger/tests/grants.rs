//! Granting: the chart's accounts, the limits, and repeats.

use super::*;
use GrantSource::{Plan, Promotional, Purchased};

const MAX: i64 = Credits::MAX.get();

#[test]
fn l01_a_grant_moves_from_the_issuing_account_to_the_lot() {
    for (source, issued) in [
        (Promotional, LedgerAccount::IssuedPromotional),
        (Plan, LedgerAccount::IssuedPromotional),
        (Purchased, LedgerAccount::IssuedPurchased),
    ] {
        let event = CreditLedgerEvent::CreditsGranted {
            lot_id: lot(1),
            source,
            reason: reason(1, source),
            amount: Credits::new(100),
            expires_at: Some(at(50)),
            entries: vec![line(issued, -100), line(LedgerAccount::Lot(lot(1)), 100)],
        };
        given(&[]).when(grant(1, source, 100, Some(50), 0)).then_expect_events(vec![event]);
    }
}

#[test]
fn l21_a_grant_outside_one_to_max_is_refused() {
    for amount in [0, -1, MAX + 1, i64::MIN, i64::MAX] {
        given(&[]).when(grant(1, Purchased, amount, None, 0)).then_expect_error(CreditLedgerError::AmountOutOfRange);
    }
    given(&[]).when(grant(1, Purchased, MAX, None, 0)).then_expect_events(vec![granted(1, Purchased, MAX, None)]);
}

#[test]
fn l21_a_balance_never_passes_max_counting_what_is_held() {
    let before = [granted(1, Purchased, MAX - 10, None), placed(9, &[(1, MAX - 10)])];
    let full = CreditLedgerError::BalanceFull { most: Credits::MAX, room: Credits::new(10) };
    given(&before).when(grant(2, Purchased, 11, None, 0)).then_expect_error(full);
    given(&before).when(grant(2, Purchased, 10, None, 0)).then_expect_events(vec![granted(2, Purchased, 10, None)]);
}

#[test]
fn l21_a_balance_that_an_older_release_let_grow_past_max_is_spent_but_takes_no_more() {
    let before = [granted(1, Purchased, MAX, None), granted(2, Purchased, MAX, None)];
    let full = CreditLedgerError::BalanceFull { most: Credits::MAX, room: Credits::ZERO };
    given(&before).when(grant(3, Purchased, 1, None, 0)).then_expect_error(full);
    given(&before).when(place(7, MAX, 0)).then_expect_events(vec![placed(7, &[(1, MAX)])]);
}

#[test]
fn l21_every_balance_fits_into_32_bits() {
    assert!(i32::try_from(MAX).is_ok());
}

#[test]
fn l13_a_grant_that_is_already_over_is_refused() {
    for now in [50, 51] {
        given(&[]).when(grant(1, Plan, 5, Some(50), now)).then_expect_error(CreditLedgerError::AlreadyExpired);
    }
    given(&[]).when(grant(1, Plan, 5, Some(50), 49)).then_expect_events(vec![granted(1, Plan, 5, Some(50))]);
}

#[test]
fn inv04_a_repeated_grant_is_a_no_op_even_after_the_lot_was_spent_or_expired() {
    let open = vec![granted(1, Plan, 5, Some(50))];
    let spent = [open.clone(), vec![placed(1, &[(1, 5)]), captured(1, 5, &[])]].concat();
    let swept = [open.clone(), vec![expired(1, 5)]].concat();
    for before in [open, spent, swept] {
        given(&before).when(grant(1, Plan, 5, Some(50), 60)).then_expect_events(Vec::new());
    }
}

#[test]
fn l06_a_lot_id_with_other_terms_is_refused_open_or_spent() {
    let open = vec![granted(1, Plan, 5, Some(50))];
    let spent = [open.clone(), vec![placed(1, &[(1, 5)]), captured(1, 5, &[])]].concat();
    let others = [(Purchased, 5, Some(50)), (Plan, 6, Some(50)), (Plan, 5, Some(51)), (Plan, 5, None)];
    for before in [&open, &spent] {
        for (source, amount, expires) in others {
            given(before).when(grant(1, source, amount, expires, 0)).then_expect_error(CreditLedgerError::IdReused);
        }
    }
}

fn for_reason(reason: GrantReason) -> CreditLedgerCommand {
    let amount = Credits::new(5);
    CreditLedgerCommand::GrantCredits { lot_id: lot(1), reason, amount, expires_at: Some(at(50)), now: at(0) }
}

fn payment(n: u128) -> GrantReason {
    reason(n, Purchased)
}

#[test]
fn l23_a_grant_says_where_it_comes_from_and_has_the_kind_that_follows() {
    let table = [
        (GrantReason::SignUpBonus, Promotional),
        (GrantReason::TestRefill, Promotional),
        (GrantReason::Gift, Promotional),
        (GrantReason::PlanCycle, Plan),
        (payment(7), Purchased),
    ];
    for (reason, source) in table {
        let mut expected = granted(1, source, 5, Some(50));
        if let CreditLedgerEvent::CreditsGranted { reason: granted_for, .. } = &mut expected {
            *granted_for = reason;
        }
        given(&[]).when(for_reason(reason)).then_expect_events(vec![expected]);
    }
    given(&[]).when(for_reason(GrantReason::Unrecorded)).then_expect_error(CreditLedgerError::ReasonMissing);
}

#[test]
fn l15_a_lot_of_one_payment_is_not_that_of_another() {
    let paid = [granted(1, Purchased, 5, Some(50))];
    given(&paid).when(for_reason(payment(1))).then_expect_events(Vec::new());
    given(&paid).when(for_reason(payment(2))).then_expect_error(CreditLedgerError::IdReused);
    let given_away = [granted(1, Promotional, 5, Some(50))];
    given(&given_away).when(for_reason(GrantReason::SignUpBonus)).then_expect_error(CreditLedgerError::IdReused);
}

#[test]
fn inv04_a_grant_of_a_release_without_reasons_is_repeated_by_one_that_gives_any() {
    let mut old = granted(1, Promotional, 5, Some(50));
    if let CreditLedgerEvent::CreditsGranted { reason, .. } = &mut old {
        *reason = GrantReason::Unrecorded;
    }
    let spent = vec![old.clone(), placed(1, &[(1, 5)]), captured(1, 5, &[])];
    for before in [vec![old], spent] {
        for reason in [GrantReason::SignUpBonus, GrantReason::TestRefill, GrantReason::Gift] {
            given(&before).when(for_reason(reason)).then_expect_events(Vec::new());
        }
        for reason in [GrantReason::PlanCycle, payment(1)] {
            given(&before).when(for_reason(reason)).then_expect_error(CreditLedgerError::IdReused);
        }
    }
}
