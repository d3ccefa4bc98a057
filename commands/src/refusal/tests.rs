//! That refusals are sentences, name their fields, and come together.

use atelier_domain::account::AccountError;
use atelier_domain::credit_ledger::{CapPeriod, CreditLedgerError};
use atelier_domain::generation::GenerationError;
use atelier_domain::text::{DisplayName, Username};
use chrono::{DateTime, Utc};

use super::*;

fn is_sentence(message: &str) -> bool {
    let first = message.chars().next();
    first.is_some_and(|c| c.is_uppercase() || c.is_ascii_digit()) && message.ends_with('.') && !message.contains('_')
}

#[test]
fn every_refusal_of_a_rule_is_a_sentence_and_an_invalid_field_is_named() {
    let now = DateTime::<Utc>::UNIX_EPOCH;
    let accounts = [
        AccountError::NotOpen,
        AccountError::AlreadyUsed,
        AccountError::TooYoung(13),
        AccountError::AnotherAddress,
        AccountError::EmailNotVerified,
        AccountError::PlanRequired,
        AccountError::RenamedRecently(now),
        AccountError::TooManyApiKeys(50),
        AccountError::NoSuchApiKey,
        AccountError::ExpiryInThePast,
        AccountError::TooManyIdentities(5),
        AccountError::LastWayIn,
        AccountError::TwoFactorOn,
        AccountError::TwoFactorOff,
        AccountError::TwoFactorResetPending,
        AccountError::TwoFactorResetNotDue,
        AccountError::ExportUnderWay,
        AccountError::DeletionNotRequested,
    ];
    let one = Credits::new(1);
    let ledgers = [
        CreditLedgerError::InsufficientCredits { required: one, available: one },
        CreditLedgerError::KeyBudgetExceeded { period: CapPeriod::Day, cap: one, spent: one, required: one },
        CreditLedgerError::TooManyBudgets(1),
        CreditLedgerError::TooManyHolds(1),
        CreditLedgerError::HoldNotOpen,
        CreditLedgerError::HoldEnded,
        CreditLedgerError::CaptureExceedsHold { requested: one, held: one },
        CreditLedgerError::AmountOutOfRange,
        CreditLedgerError::BalanceFull { most: one, room: one },
        CreditLedgerError::AlreadyExpired,
        CreditLedgerError::ReasonMissing,
        CreditLedgerError::Closed,
        CreditLedgerError::HoldsOpen,
        CreditLedgerError::IdReused,
    ];
    let generations = [
        GenerationError::NotFound,
        GenerationError::AlreadyUsed,
        GenerationError::AlreadyEnded,
        GenerationError::StillRunning,
        GenerationError::InvalidResult,
    ];
    let refusals = accounts.map(Refusal::from).into_iter();
    let refusals = refusals.chain(ledgers.map(Refusal::from)).chain(generations.map(Refusal::from));
    for refusal in refusals {
        assert!(is_sentence(&refusal.message), "{refusal:?}");
        let about_a_value = refusal.field.is_some() && refusal.value.is_some();
        assert!(refusal.code != RefusalCode::InvalidField || about_a_value, "{refusal:?}");
        assert_eq!(refusal.field.is_some(), about_a_value, "{refusal:?}");
    }
}

#[test]
fn every_wrong_field_is_in_one_refusal_and_none_twice() {
    let checked = together((
        in_field("username", Username::parse("a")),
        in_field("age", Ok(7)),
        in_field("display_name", DisplayName::parse("")),
    ));
    let refusal = checked.unwrap_err();
    let fields: Vec<_> = refusal.each().map(|one| (one.field.as_deref(), one.message.as_str())).collect();
    let expected = [
        (Some("username"), "The username must have 3 to 30 characters."),
        (Some("display_name"), "The display name must have 1 to 50 characters."),
    ];
    assert_eq!(fields, expected);
    let again = refusal.clone().and(refusal.clone());
    assert_eq!(again, refusal, "a field keeps its first refusal");
    assert_eq!(together((in_field("a", Ok(1)), in_field("b", Ok(2)))), Ok((1, 2)));
    let items = ["ada", "a", "b"].into_iter().enumerate();
    let names = each(items.map(|(n, name)| in_field(format!("names.{n}.username"), Username::parse(name))));
    let fields: Vec<_> = names.unwrap_err().into_each().filter_map(|one| one.field).collect();
    assert_eq!(fields, ["names.1.username", "names.2.username"]);
}
