//! The property test over random histories, and decisions with planted bugs that it must catch.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::operations::{Operation, history};
use super::simulation::{Decider, Decision, Simulation};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l01_l08_l10_l11_l12_l13_l14_l20_l21_hold_after_every_step(history in history()) {
        let run = Simulation::new(CreditLedger::decide).run(&history);
        prop_assert!(run.is_ok(), "{}", run.err().unwrap_or_default());
    }

    #[test]
    fn a_refused_command_changes_nothing_and_handle_does_what_decide_says(history in history()) {
        let run = Simulation::new(CreditLedger::decide).run(&history);
        let mut ledger = CreditLedger::default();
        for command in run.map(|run| run.commands).unwrap() {
            let before = ledger.clone();
            let decided = before.decide(command.clone());
            let handled = handle(&mut ledger, command);
            prop_assert_eq!(&handled, &decided);
            match handled {
                Err(_) => prop_assert_eq!(&ledger, &before),
                Ok(events) => {
                    let mut applied = before;
                    events.into_iter().for_each(|event| applied.apply(event));
                    prop_assert_eq!(&ledger, &applied);
                }
            }
        }
    }
}

/// The same histories on every run.
fn fixed_histories() -> Vec<Vec<Operation>> {
    let mut runner = TestRunner::deterministic();
    (0..256).map(|_| history().new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn the_histories_reach_every_event_and_every_refusal() {
    let runs = fixed_histories().into_iter().map(|history| Simulation::new(CreditLedger::decide).run(&history));
    let seen: BTreeSet<String> = runs.flat_map(|run| run.map(|run| run.seen).unwrap()).collect();
    let all = [
        "AlreadyExpired",
        "AmountOutOfRange",
        "BalanceFull",
        "CaptureExceedsHold",
        "Closed",
        "CreditsGranted",
        "HoldCaptured",
        "HoldEnded",
        "HoldNotOpen",
        "HoldPlaced",
        "HoldVoided",
        "HoldsOpen",
        "IdReused",
        "InsufficientCredits",
        "KeyBudgetExceeded",
        "LedgerClosed",
        "LotExpired",
        "NoOp",
        "ReturnedTooLate",
        "TooManyHolds",
    ];
    assert_eq!(seen, all.map(str::to_owned).into());
}

/// The first complaint about a decision with a bug in it.
fn complaint(buggy: Decider) -> Option<String> {
    fixed_histories().iter().find_map(|history| Simulation::new(buggy).run(history).err())
}

fn altered(decision: Decision, alter: fn(&mut CreditLedgerEvent)) -> Decision {
    decision.map(|mut events| {
        events.iter_mut().for_each(alter);
        events
    })
}

fn spends_expired_lots(ledger: &CreditLedger, mut command: CreditLedgerCommand) -> Decision {
    if let CreditLedgerCommand::PlaceHold { now, .. } = &mut command {
        *now = DateTime::UNIX_EPOCH;
    }
    ledger.decide(command)
}

fn keeps_the_rest(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    altered(ledger.decide(command), |event| {
        if let CreditLedgerEvent::HoldCaptured { entries, .. } = event {
            let back = |entry: &Entry| matches!(entry.account, LedgerAccount::Lot(_));
            entries.iter_mut().filter(|entry| back(entry)).for_each(|entry| entry.account = LedgerAccount::Consumed);
        }
    })
}

fn forgets_the_issuer(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    altered(ledger.decide(command), |event| {
        if let CreditLedgerEvent::CreditsGranted { entries, .. } = event {
            entries.remove(0);
        }
    })
}

fn gives_late_returns_grace(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    let sweep = matches!(command, CreditLedgerCommand::ExpireLot { .. });
    let mut decision = ledger.decide(command);
    if let (false, Ok(events)) = (sweep, &mut decision) {
        events.truncate(1);
    }
    decision
}

fn sweeps_the_held_part(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    let mut decision = ledger.decide(command);
    for event in decision.iter_mut().flatten() {
        if let CreditLedgerEvent::LotExpired { lot_id, amount, entries } = event {
            let held = ledger.lots().iter().find(|lot| lot.id == *lot_id).map_or(0, |lot| lot.held.get());
            let all = amount.get() + held;
            *amount = Credits::new(all);
            *entries = vec![line(LedgerAccount::Lot(*lot_id), -all), line(LedgerAccount::Breakage, all)];
        }
    }
    decision
}

fn places_ended_holds_again(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    let forgetful = CreditLedger { ended_holds: Default::default(), ..ledger.clone() };
    // Where nothing else refuses it: so that it is placed.
    forgetful.decide(command.clone()).or_else(|_| ledger.decide(command))
}

fn forgets_what_a_key_spent(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    let forgetful = CreditLedger { budgets: Default::default(), ..ledger.clone() };
    forgetful.decide(command)
}

fn forfeits_what_is_held(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    let heedless = CreditLedger { holds: Default::default(), ..ledger.clone() };
    if matches!(command, CreditLedgerCommand::Close { .. }) { heedless.decide(command) } else { ledger.decide(command) }
}

fn spends_after_the_end(ledger: &CreditLedger, command: CreditLedgerCommand) -> Decision {
    CreditLedger { closed: false, ..ledger.clone() }.decide(command)
}

fn counts_today_for_ever(ledger: &CreditLedger, mut command: CreditLedgerCommand) -> Decision {
    if let CreditLedgerCommand::PlaceHold { limits: HoldLimits { budget: Some(budget), .. }, .. } = &mut command {
        budget.caps.total = [budget.caps.total, budget.caps.daily].into_iter().flatten().min();
    }
    ledger.decide(command)
}

#[test]
fn planted_bugs_are_caught() {
    assert_eq!(complaint(CreditLedger::decide), None);
    let mutants: [(Decider, &str); 10] = [
        (spends_expired_lots, "reference: PlaceHold"),
        (keeps_the_rest, "L11"),
        (forgets_the_issuer, "L01"),
        (gives_late_returns_grace, "reference: "),
        (sweeps_the_held_part, "L08"),
        (places_ended_holds_again, "L10"),
        (forfeits_what_is_held, "A38"),
        (spends_after_the_end, "A38"),
        (forgets_what_a_key_spent, "reference: PlaceHold"),
        (counts_today_for_ever, "reference: PlaceHold"),
    ];
    for (number, (buggy, invariant)) in mutants.into_iter().enumerate() {
        let complaint = complaint(buggy).unwrap_or_default();
        assert!(complaint.starts_with(invariant), "mutant {number}: {complaint:?}, expected {invariant:?}");
    }
}
