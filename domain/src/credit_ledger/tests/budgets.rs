//! Caps of API keys, and how many holds may be open at once.

use super::*;

fn capped(n: u128, daily: Option<i64>, total: Option<i64>) -> HoldLimits {
    let caps = SpendCaps { daily: daily.map(Credits::new), total: total.map(Credits::new) };
    HoldLimits { at_once: None, budget: Some(KeyBudget { key_id: key(n), caps }) }
}

fn place_by(limits: HoldLimits, n: u128, amount: i64, now: DateTime<Utc>) -> CreditLedgerCommand {
    let (hold_id, amount) = (hold(n), Credits::new(amount));
    CreditLedgerCommand::PlaceHold { hold_id, generation_id: hold_id.into(), amount, price_version: 1, limits, now }
}

fn exceeded(
    period: CapPeriod,
    cap: i64,
    spent: i64,
    required: i64,
) -> Result<Vec<CreditLedgerEvent>, CreditLedgerError> {
    let [cap, spent, required] = [cap, spent, required].map(Credits::new);
    Err(CreditLedgerError::KeyBudgetExceeded { period, cap, spent, required })
}

fn rich() -> CreditLedger {
    folded(&[granted(1, GrantSource::Purchased, 10_000, None)])
}

/// Midnight of the day `at(0)` stands on, and some day after it.
fn midnight(days: i64) -> DateTime<Utc> {
    at(0) + TimeDelta::days(days)
}

#[test]
fn u21_a_total_cap_holds_over_all_days_and_what_comes_back_may_be_spent_again() {
    let (mut ledger, limits) = (rich(), capped(1, None, Some(100)));
    perform(&mut ledger, place_by(limits, 1, 60, midnight(0))).unwrap();
    perform(&mut ledger, capture(1, 50, 1)).unwrap();
    assert_eq!(perform(&mut ledger, place_by(limits, 2, 51, midnight(3))), exceeded(CapPeriod::Life, 100, 50, 51));
    perform(&mut ledger, place_by(limits, 3, 50, midnight(3))).unwrap();
    assert_eq!(perform(&mut ledger, place_by(limits, 4, 1, midnight(4))), exceeded(CapPeriod::Life, 100, 100, 1));
    let ended = CreditLedgerCommand::VoidHold { hold_id: hold(3), now: midnight(5) };
    perform(&mut ledger, ended).unwrap();
    assert!(perform(&mut ledger, place_by(limits, 5, 50, midnight(5))).is_ok());
}

#[test]
fn u21_a_daily_cap_begins_anew_at_midnight_utc_and_not_a_moment_sooner() {
    let (mut ledger, limits) = (rich(), capped(1, Some(100), None));
    perform(&mut ledger, place_by(limits, 1, 100, midnight(0))).unwrap();
    let last = midnight(1) - TimeDelta::microseconds(1);
    assert_eq!(perform(&mut ledger, place_by(limits, 2, 1, last)), exceeded(CapPeriod::Day, 100, 100, 1));
    let placed = perform(&mut ledger, place_by(limits, 3, 100, midnight(1))).unwrap();
    let [CreditLedgerEvent::HoldPlaced { budget: Some(charge), .. }] = &placed[..] else { panic!("{placed:?}") };
    assert_eq!((charge.key_id, charge.day), (key(1), midnight(1).date_naive()), "the log says what it counts to");
    // What yesterday's hold gives back was yesterday's.
    perform(&mut ledger, CreditLedgerCommand::VoidHold { hold_id: hold(1), now: midnight(1) }).unwrap();
    assert_eq!(perform(&mut ledger, place_by(limits, 4, 1, midnight(1))), exceeded(CapPeriod::Day, 100, 100, 1));
    // A clock that goes back finds neither the old day's room nor a new one.
    assert_eq!(perform(&mut ledger, place_by(limits, 5, 1, midnight(0))), exceeded(CapPeriod::Day, 100, 100, 1));
    perform(&mut ledger, CreditLedgerCommand::VoidHold { hold_id: hold(3), now: midnight(1) }).unwrap();
    assert!(perform(&mut ledger, place_by(limits, 6, 100, midnight(1))).is_ok());
}

#[test]
fn u21_each_key_spends_its_own_and_uncapped_ones_count_nowhere() {
    let mut ledger = rich();
    let free = HoldLimits::default();
    for (n, limits) in [(1, capped(1, Some(10), Some(10))), (2, capped(2, Some(10), Some(10))), (3, free), (4, free)] {
        perform(&mut ledger, place_by(limits, n, 10, at(0))).unwrap();
    }
    for n in [1, 2] {
        let refused = perform(&mut ledger, place_by(capped(n, Some(10), Some(10)), 9, 1, at(0)));
        assert_eq!(refused, exceeded(CapPeriod::Life, 10, 10, 1));
    }
    // The cap is looked at before the balance: a key that has spent its own does not learn what there is beside.
    let poor = perform(&mut ledger, place_by(capped(1, None, Some(10)), 9, 1_000_000, at(0)));
    assert_eq!(poor, exceeded(CapPeriod::Life, 10, 10, 1_000_000));
}

#[test]
fn u21_at_the_bound_a_new_capped_key_is_refused_and_none_is_forgotten() {
    let (mut ledger, total) = (rich(), Some(2));
    let many = u128::try_from(REMEMBERED_BUDGETS).unwrap();
    for n in 1..=many {
        perform(&mut ledger, place_by(capped(n, None, total), n, 1, at(0))).unwrap();
        perform(&mut ledger, capture(n, 1, 0)).unwrap();
    }
    let size = serde_json::to_vec(&ledger).unwrap().len();
    let one_more = perform(&mut ledger, place_by(capped(many + 1, None, total), many + 1, 1, at(0)));
    assert_eq!(one_more, Err(CreditLedgerError::TooManyBudgets(REMEMBERED_BUDGETS)));
    assert!(perform(&mut ledger, place_by(HoldLimits::default(), many + 2, 1, at(0))).is_ok(), "uncapped ones go on");
    for n in [1, many] {
        let refused = perform(&mut ledger, place_by(capped(n, None, total), many + 3, 2, at(0)));
        assert_eq!(refused, exceeded(CapPeriod::Life, 2, 1, 2), "and what is known stays known");
    }
    assert!(size < 400_000, "{size}");
    assert!(ledger.heap_bytes() > REMEMBERED_BUDGETS * size_of::<ApiKeyId>());
}

#[test]
fn u34_so_many_holds_at_once_and_no_more() {
    let (mut ledger, limits) = (rich(), HoldLimits { at_once: Some(2), budget: None });
    perform(&mut ledger, place_by(limits, 1, 1, at(0))).unwrap();
    perform(&mut ledger, place_by(limits, 2, 1, at(0))).unwrap();
    assert_eq!(perform(&mut ledger, place_by(limits, 3, 1, at(0))), Err(CreditLedgerError::TooManyHolds(2)));
    assert_eq!(perform(&mut ledger, place_by(limits, 2, 1, at(0))), Ok(Vec::new()), "a repeat is no other hold");
    perform(&mut ledger, void(1, 0)).unwrap();
    assert!(perform(&mut ledger, place_by(limits, 3, 1, at(0))).is_ok());
}
