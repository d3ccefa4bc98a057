//! The checker can fail: faults planted by hand into a good log, each found under its name.

use serde_json::{Value, json};
use uuid::Uuid;

use super::journal::{Acknowledged, Told, hold_against};
use super::log_checker::{KeyRow, LogChecker, LogRow, Violation};

const ACCOUNT: Uuid = Uuid::from_u128(1);
const JOB: Uuid = Uuid::from_u128(2);
const LOT: &str = "lot:00000000-0000-0000-0000-000000000003";

fn event(aggregate: &str, sequence: i64, name: &str, body: Value) -> LogRow {
    let aggregate_id = if aggregate == "CreditLedger" { format!("{ACCOUNT}:live") } else { JOB.to_string() };
    LogRow {
        position: 0,
        event_id: Uuid::nil(),
        aggregate_type: aggregate.to_owned(),
        aggregate_id,
        sequence,
        event_type: name.to_owned(),
        payload: json!({ name: body }).to_string(),
    }
}

fn of_hold(sequence: i64, name: &str, field: &str, entries: Value) -> LogRow {
    let body = json!({ "hold_id": JOB, "generation_id": JOB, field: 100, "entries": entries });
    event("CreditLedger", sequence, name, body)
}

fn line(account: &str, amount: i64) -> Value {
    json!({ "account": account, "amount": amount })
}

/// A paid job, from the grant to the capture.
fn good() -> Vec<LogRow> {
    let granted = json!({ "entries": [line("system:issued:promotional", -150), line(LOT, 150)] });
    numbered(vec![
        event("CreditLedger", 1, "CreditsGranted", granted),
        of_hold(2, "HoldPlaced", "amount", json!([line(LOT, -100), line("held", 100)])),
        event("Generation", 1, "GenerationRequested", json!({ "price": 100 })),
        event("Generation", 2, "GenerationStarted", json!({ "attempt": 1 })),
        event("Generation", 3, "GenerationSucceeded", json!({ "price": 100 })),
        of_hold(3, "HoldCaptured", "captured", json!([line("held", -100), line("system:consumed", 100)])),
    ])
}

/// Gives each event its place and an id.
fn numbered(mut rows: Vec<LogRow>) -> Vec<LogRow> {
    for (row, position) in rows.iter_mut().zip(1..) {
        row.position = position;
        row.event_id = Uuid::from_u128(1000 + u128::from(position.unsigned_abs()));
    }
    rows
}

fn key(position: i64) -> KeyRow {
    KeyRow { account_id: ACCOUNT, key: "order".to_owned(), result: JOB.to_string(), position }
}

fn checked(rows: &[LogRow], keys: &[KeyRow]) -> LogChecker {
    let mut checker = LogChecker::of_jobs();
    rows.iter().for_each(|row| checker.event(row));
    checker.keys(keys);
    checker.every_hold_has_its_key();
    checker.at_rest();
    checker
}

/// What is found once a good log was spoilt.
fn found(spoil: impl FnOnce(&mut Vec<LogRow>)) -> Vec<Violation> {
    let mut rows = good();
    spoil(&mut rows);
    let placed = rows.iter().find(|row| row.event_type == "HoldPlaced").map_or(2, |row| row.position);
    checked(&rows, &[key(placed)]).violations().to_vec()
}

#[test]
fn g1_a_good_log_is_well() {
    assert_eq!(checked(&good(), &[key(2)]).violations(), []);
    assert_eq!(checked(&good(), &[key(2)]).ledgers.balance(&format!("{ACCOUNT}:live")), (50, 0));
}

#[test]
fn g1_p1_l20_a_repeated_and_a_missing_event_are_found() {
    let (again, position) = (good()[5].event_id, 7);
    let repeated = found(|rows| rows.push(LogRow { position, ..rows[5].clone() }));
    assert_eq!(
        repeated[..2],
        [
            Violation::Repeated { position, event_id: again },
            Violation::OutOfSequence { position, expected: 4, found: 3 }
        ]
    );
    assert!(repeated.contains(&Violation::Hold { position, wrong: "ended without being open" }), "{repeated:?}");
    // Under a fresh id and in order: only the money tells.
    let twice = found(|rows| rows.push(LogRow { position, event_id: Uuid::nil(), sequence: 4, ..rows[5].clone() }));
    assert!(!twice.iter().any(|one| matches!(one, Violation::Repeated { .. } | Violation::OutOfSequence { .. })));
    assert!(twice.contains(&Violation::Hold { position, wrong: "ended without being open" }), "{twice:?}");
    let missing = found(|rows| drop(rows.remove(3)));
    assert!(missing.contains(&Violation::Gap { after: 3, found: 5 }), "{missing:?}");
    assert!(missing.contains(&Violation::OutOfSequence { position: 5, expected: 2, found: 3 }), "{missing:?}");
}

#[test]
fn g3_l01_l08_a_negative_prefix_and_an_unbalanced_entry_are_found() {
    // The same events in the end, but spent before it was granted: only a prefix shows it.
    let early = found(|rows| {
        rows.swap(0, 1);
        let order = numbered(std::mem::take(rows));
        *rows = order.into_iter().zip([1, 2, 1, 2, 3, 3]).map(|(row, sequence)| LogRow { sequence, ..row }).collect();
    });
    assert_eq!(early, [Violation::Negative { position: 1, account: LOT.to_owned(), balance: -100 }]);
    let unbalanced = found(|rows| rows[0].payload = rows[0].payload.replace("-150", "-149"));
    assert_eq!(unbalanced, [Violation::Unbalanced { position: 1, sum: 1 }]);
    let differs = found(|rows| {
        rows[1].payload = rows[1].payload.replace("\"amount\":100,\"entries\"", "\"amount\":90,\"entries\"")
    });
    assert!(differs.contains(&Violation::EntriesDiffer { position: 2 }), "{differs:?}");
}

#[test]
fn g2_l10_l22_holds_jobs_and_keys_that_do_not_fit_are_found() {
    let unpaid = found(|rows| drop(rows.pop()));
    let at_rest = |wrong| Violation::NotAtRest { id: JOB.to_string(), wrong };
    assert_eq!(unpaid, [at_rest("a hold is open"), at_rest("a job is delivered and not paid")]);
    let cheap = found(|rows| rows[4].payload = rows[4].payload.replace("100", "90"));
    assert_eq!(cheap, [Violation::Job { position: 6, wrong: "not paid as delivered" }]);
    let keyless = checked(&good(), &[]);
    assert_eq!(keyless.violations(), [Violation::Key { position: 2, wrong: "a hold without a key" }]);
    let shared = checked(&good(), &[key(2), KeyRow { key: "another".to_owned(), ..key(2) }]);
    assert_eq!(shared.violations(), [Violation::Key { position: 2, wrong: "shares its hold with another key" }]);
    assert_eq!(
        checked(&good(), &[key(3)]).violations()[0],
        Violation::Key { position: 3, wrong: "was not written with its hold" }
    );
}

#[test]
fn g1_what_was_acknowledged_and_is_not_there_is_lost() {
    let accepted = |key: &str, position| Acknowledged {
        account: ACCOUNT,
        told: Told::Accepted { key: key.to_owned(), generation: JOB },
        position: Some(position),
    };
    let paid = |captured, position| Acknowledged {
        account: ACCOUNT,
        told: Told::Paid { key: "order".to_owned(), generation: JOB, captured },
        position: Some(position),
    };
    let against = |told: &[Acknowledged]| {
        let mut checker = checked(&good(), &[key(2)]);
        hold_against(&mut checker, told);
        checker.violations().to_vec()
    };
    assert_eq!(against(&[accepted("order", 3), accepted("order", 6), paid(100, 6)]), []);
    for told in [accepted("never", 3), accepted("order", 9), paid(100, 9)] {
        assert_eq!(against(std::slice::from_ref(&told)), [Violation::Lost { what: format!("{told:?}") }]);
    }
    // Told before it was so, or not at this price.
    for told in [paid(100, 5), paid(90, 6)] {
        assert_eq!(against(std::slice::from_ref(&told)), [Violation::NotAsTold { what: format!("{told:?}") }]);
    }
    let (cancelled, bio) = (Told::Cancelled { generation: JOB }, Told::BioChanged);
    for (told, position) in [(cancelled, None), (bio, Some(7))] {
        let told = Acknowledged { account: ACCOUNT, told, position };
        assert_eq!(against(std::slice::from_ref(&told)), [Violation::Lost { what: format!("{told:?}") }]);
    }
}
