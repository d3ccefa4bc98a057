//! Old versions of events are read as today's, unknown ones not at all.

use cqrs_es::{Aggregate, DomainEvent};
use uuid::Uuid;

use super::*;
use crate::credit_ledger::{CreditLedger, CreditLedgerEvent, Entry, GrantReason, GrantSource, LedgerAccount};
use crate::{AccountId, Credits, LedgerId, LogEvent, LotId, PaymentId, decode_event};

const LEDGER: &str = CreditLedger::TYPE;
const GRANT: &str = "CreditsGranted";

fn granted(reason: GrantReason) -> CreditLedgerEvent {
    let (lot_id, amount) = (LotId(Uuid::from_u128(5)), Credits::new(500));
    let entry = |account, amount| Entry::new(account, Credits::new(amount));
    let entries = vec![entry(LedgerAccount::IssuedPromotional, -500), entry(LedgerAccount::Lot(lot_id), 500)];
    CreditLedgerEvent::CreditsGranted {
        lot_id,
        source: GrantSource::Promotional,
        reason,
        amount,
        expires_at: Some("2026-01-31T00:00:00.123456Z".parse().unwrap()),
        entries,
    }
}

/// The same grant as a release without reasons stored it.
fn version_1() -> Value {
    json!({ "CreditsGranted": {
        "lot_id": "00000000-0000-0000-0000-000000000005",
        "source": "promotional",
        "amount": 500,
        "expires_at": "2026-01-31T00:00:00.123456Z",
        "entries": [
            { "account": "system:issued:promotional", "amount": -500 },
            { "account": "lot:00000000-0000-0000-0000-000000000005", "amount": 500 },
        ],
    } })
}

fn decoded(version: &str, payload: &Value) -> Result<CreditLedgerEvent, DecodeError> {
    decode_event(LEDGER, GRANT, version, &payload.to_string())
}

#[test]
fn d3_a_grant_of_version_1_is_read_as_one_with_its_reason_unrecorded() {
    assert_eq!(decoded("1", &version_1()).unwrap(), granted(GrantReason::Unrecorded));
    let ledger = LedgerId::live(AccountId(Uuid::from_u128(1)));
    let event = LogEvent::decode(LEDGER, &ledger.to_string(), GRANT, "1", &version_1().to_string());
    assert_eq!(event.unwrap(), LogEvent::CreditLedger(ledger, granted(GrantReason::Unrecorded)));
}

#[test]
fn l23_a_grant_of_version_2_says_where_it_comes_from() {
    let payment_id = PaymentId(Uuid::from_u128(9));
    for reason in [GrantReason::Unrecorded, GrantReason::SignUpBonus, GrantReason::Payment { payment_id }] {
        let event = granted(reason);
        assert_eq!(event.event_version(), "2");
        assert_eq!(decoded("2", &serde_json::to_value(&event).unwrap()).unwrap(), event);
    }
    let error = decoded("2", &version_1()).unwrap_err();
    assert!(matches!(error, DecodeError::MalformedPayload { .. }), "a version is what it says it is: {error}");
}

#[test]
fn d3_an_unknown_version_is_refused_unread() {
    for version in ["3", "0", "", "01", "2.0", "1 ", "-1", "newest"] {
        for payload in [granted(GrantReason::Gift), granted(GrantReason::Unrecorded)] {
            let error = decoded(version, &serde_json::to_value(payload).unwrap()).unwrap_err();
            assert!(matches!(error, DecodeError::UnknownVersion { .. }), "{version:?}: {error}");
        }
        let error = current(LEDGER, GRANT, version, "not JSON").unwrap_err();
        assert!(matches!(error, DecodeError::UnknownVersion { .. }), "{version:?}: {error}");
    }
    for (aggregate, event) in [("Account", "EmailVerified"), (LEDGER, "LotExpired"), ("Account", GRANT)] {
        assert!(matches!(current(aggregate, event, "2", "{}"), Err(DecodeError::UnknownVersion { .. })), "{event}");
    }
}

#[test]
fn d3_a_payload_of_today_s_version_is_passed_on_unread() {
    assert!(matches!(current(LEDGER, GRANT, "2", "not JSON"), Ok(Payload::AsStored("not JSON"))));
    assert!(matches!(current("Account", "EmailVerified", "1", "not JSON"), Ok(Payload::AsStored("not JSON"))));
}

#[test]
fn d3_an_old_payload_that_is_damaged_stays_so() {
    for payload in ["not JSON", "[]", "null", "{}", r#"{"CreditsGranted":7}"#, r#"{"CreditsGranted":{}}"#] {
        let error = decode_event::<CreditLedgerEvent>(LEDGER, GRANT, "1", payload).unwrap_err();
        assert!(matches!(error, DecodeError::MalformedPayload { .. }), "{payload}: {error}");
    }
    let other = r#"{"LotExpired":{"lot_id":"00000000-0000-0000-0000-000000000005","amount":1,"entries":[]}}"#;
    let error = decode_event::<CreditLedgerEvent>(LEDGER, GRANT, "1", other).unwrap_err();
    assert!(matches!(error, DecodeError::WrongName(_)), "{error}");
}

fn serialized(aggregate_type: &str, version: &str, payload: Value) -> SerializedEvent {
    let text = str::to_owned;
    SerializedEvent::new(text("an id"), 1, text(aggregate_type), text(GRANT), text(version), payload, json!({}))
}

/// As cqrs-es's stores apply them.
fn upcast(event: SerializedEvent) -> SerializedEvent {
    upcasters().iter().fold(event, |event, step| {
        if step.can_upcast(&event.event_type, &event.event_version) { step.upcast(event) } else { event }
    })
}

#[test]
fn d3_the_same_steps_serve_cqrs_es_s_own_stores() {
    let old = upcast(serialized(LEDGER, "1", version_1()));
    assert_eq!(old.event_version, "2");
    assert_eq!(
        serde_json::from_value::<CreditLedgerEvent>(old.payload.clone()).unwrap(),
        granted(GrantReason::Unrecorded)
    );
    assert_eq!(old, serialized(LEDGER, "2", serde_json::to_value(granted(GrantReason::Unrecorded)).unwrap()));

    let new = serialized(LEDGER, "2", serde_json::to_value(granted(GrantReason::Gift)).unwrap());
    assert_eq!(upcast(new.clone()), new);
    let of_another = serialized("Voucher", "1", json!({ "CreditsGranted": {} }));
    assert_eq!(upcast(of_another.clone()), of_another, "the same name in another aggregate");
}

#[test]
fn d3_the_steps_of_an_event_are_a_chain_from_version_1() {
    for step in STEPS {
        let chain: Vec<&Step> = steps_of(step.aggregate_type, step.event_type).collect();
        for (number, step) in (1..).zip(chain) {
            assert_eq!(
                (step.from, step.to),
                (format!("{number}").as_str(), format!("{}", number + 1).as_str()),
                "{}",
                step.event_type
            );
        }
    }
}

#[test]
fn d3_a_hold_of_version_1_came_by_no_capped_key() {
    let mut hold = json!({ "HoldPlaced": {
        "hold_id": "00000000-0000-0000-0000-000000000002",
        "generation_id": "00000000-0000-0000-0000-000000000002",
        "amount": 4,
        "price_version": 1,
        "entries": [],
    } });
    let decoded = decode_event::<CreditLedgerEvent>(LEDGER, "HoldPlaced", "1", &hold.to_string()).unwrap();
    assert!(matches!(&decoded, CreditLedgerEvent::HoldPlaced { budget: None, .. }), "{decoded:?}");
    hold["HoldPlaced"]["budget"] = Value::Null;
    assert_eq!(serde_json::to_value(&decoded).unwrap(), hold);
    assert_eq!(decoded.event_version(), "2");
}
