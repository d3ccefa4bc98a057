//! Given/when/then tests of the account.

mod identity;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::policy::plan::Plan;
use crate::text::{Bio, DisplayName, Email, KeyLabel, Username};
use crate::{ApiKeyId, Decide, Environment, Personal, Sealed, SessionId};

type AccountTest = TestFramework<Account>;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn email() -> Email {
    Email::parse("ada@example.com").unwrap()
}

fn username() -> Username {
    Username::parse("ada").unwrap()
}

fn opened() -> AccountEvent {
    AccountEvent::AccountOpened {
        email: Personal::Open(email()),
        username: Personal::Open(username()),
        display_name: Personal::Open(DisplayName::parse("ada").unwrap()),
        minimum_age: Some(18),
        address_claimed: false,
        has_password: true,
    }
}

fn open() -> AccountCommand {
    AccountCommand::Open { email: email(), username: username(), minimum_age: 18, vouched_by: None }
}

fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn key(n: u128) -> ApiKeyId {
    ApiKeyId(Uuid::from_u128(n))
}

fn new_key(n: u128, expires_at: Option<DateTime<Utc>>) -> NewApiKey {
    NewApiKey {
        key_id: key(n),
        label: Some(KeyLabel::parse("laptop").unwrap()),
        prefix: "atl_live_abc".into(),
        last4: "wxyz".into(),
        environment: Environment::Live,
        scopes: KeyScope::ALL.to_vec(),
        expires_at: expires_at.map(|end| KeyExpiry::parse(end, end - TimeDelta::days(1)).unwrap()),
        caps: SpendCaps::default(),
        replaces: None,
    }
}

fn create_key(n: u128, expires_at: Option<DateTime<Utc>>) -> AccountCommand {
    AccountCommand::CreateApiKey { key: new_key(n, expires_at), now: at(0) }
}

#[test]
fn a17_opening_names_the_account_after_its_username() {
    AccountTest::with(()).given_no_previous_events().when(open()).then_expect_events(vec![opened()]);
}

#[test]
fn an_account_opens_once_and_never_after_it_was_abandoned() {
    for first in [opened(), AccountEvent::AccountAbandoned {}] {
        AccountTest::with(()).given(vec![first]).when(open()).then_expect_error(AccountError::AlreadyUsed);
    }
    AccountTest::with(())
        .given(vec![opened()])
        .when(AccountCommand::Abandon)
        .then_expect_error(AccountError::AlreadyUsed);
}

#[test]
fn nothing_happens_to_an_account_that_is_not_open() {
    for given in [vec![], vec![AccountEvent::AccountAbandoned {}]] {
        AccountTest::with(())
            .given(given)
            .when(AccountCommand::VerifyEmail { address: None })
            .then_expect_error(AccountError::NotOpen);
    }
}

#[test]
fn u26_the_address_is_verified_once() {
    AccountTest::with(())
        .given(vec![opened()])
        .when(AccountCommand::VerifyEmail { address: None })
        .then_expect_events(vec![AccountEvent::EmailVerified {}]);
    AccountTest::with(())
        .given(vec![opened(), AccountEvent::EmailVerified {}])
        .when(AccountCommand::VerifyEmail { address: None })
        .then_expect_events(vec![]);
}

#[test]
fn a13_u26_an_address_that_was_given_up_proves_nothing() {
    let former = Sealed::from_text("of-another-event".to_owned());
    AccountTest::with(())
        .given(vec![opened()])
        .when(AccountCommand::VerifyEmail { address: Some(former) })
        .then_expect_error(AccountError::AnotherAddress);
}

#[test]
fn a09_name_and_bio_are_saved_together() {
    let name = DisplayName::parse("Ada L.").unwrap();
    let bio = Bio::parse("I paint.").unwrap();
    AccountTest::with(())
        .given(vec![opened()])
        .when(AccountCommand::UpdateProfile {
            display_name: Some(name.clone()),
            bio: Some(bio.clone()),
            same: SameTexts::default(),
        })
        .then_expect_events(vec![
            AccountEvent::DisplayNameChanged { display_name: Personal::Open(name) },
            AccountEvent::BioChanged { bio: Personal::Open(bio) },
        ]);
}

#[test]
fn a24_turning_publishing_off_needs_a_premium_plan() {
    let off = AccountCommand::SetPublishToExplore { publish: false };
    AccountTest::with(()).given(vec![opened()]).when(off.clone()).then_expect_error(AccountError::PlanRequired);
    AccountTest::with(())
        .given(vec![opened(), AccountEvent::PlanAssigned { plan: Plan::Pro }])
        .when(off)
        .then_expect_events(vec![AccountEvent::PublishPreferenceChanged { publish: false }]);
}

#[test]
fn u09_a_free_plan_publishes_whatever_the_switch_said_before() {
    let mut account = Account::default();
    for event in [
        opened(),
        AccountEvent::PlanAssigned { plan: Plan::Pro },
        AccountEvent::PublishPreferenceChanged { publish: false },
    ] {
        account.apply(event);
    }
    assert!(!account.publishes());
    account.apply(AccountEvent::PlanAssigned { plan: Plan::Free });
    assert!(account.publishes());
}

#[test]
fn a34_a_session_ends_once_and_leaves_the_state() {
    let started = AccountEvent::SessionStarted { session_id: session(1), expires_at: at(60) };
    let end = AccountCommand::EndSession { session_id: session(1), reason: SessionEnd::SignedOut };
    let ended = AccountEvent::SessionEnded { session_id: session(1), reason: SessionEnd::SignedOut };
    AccountTest::with(())
        .given(vec![opened(), started.clone()])
        .when(end.clone())
        .then_expect_events(vec![ended.clone()]);
    AccountTest::with(()).given(vec![opened(), started, ended]).when(end).then_expect_events(vec![]);
}

#[test]
fn sessions_are_bounded_and_the_oldest_gives_way() {
    let mut account = Account::default();
    account.apply(opened());
    for n in 0..MAX_SESSIONS {
        account.apply(AccountEvent::SessionStarted { session_id: session(n as u128), expires_at: at(100 + n as i64) });
    }
    let start = AccountCommand::StartSession { session_id: session(9_999), expires_at: at(9_999), now: at(0) };
    let events = account.decide(start).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], AccountEvent::SessionEnded { session_id: session(0), reason: SessionEnd::Displaced });
    events.into_iter().for_each(|event| account.apply(event));
    assert!(account.has_session(&session(9_999)) && !account.has_session(&session(0)));
}

#[test]
fn u26_a_key_needs_a_verified_address() {
    AccountTest::with(())
        .given(vec![opened()])
        .when(create_key(1, None))
        .then_expect_error(AccountError::EmailNotVerified);
}

#[test]
fn b13_a_key_cannot_be_born_expired() {
    AccountTest::with(())
        .given(vec![opened(), AccountEvent::EmailVerified {}])
        .when(create_key(1, Some(at(0))))
        .then_expect_error(AccountError::ExpiryInThePast);
}

#[test]
fn b19_revoking_one_key_leaves_the_others_and_is_final() {
    let mut account = Account::default();
    account.apply(opened());
    account.apply(AccountEvent::EmailVerified {});
    for n in [1, 2] {
        account
            .decide(create_key(n, Some(at(1) + TimeDelta::days(1))))
            .unwrap()
            .into_iter()
            .for_each(|e| account.apply(e));
    }
    let revoke = AccountCommand::RevokeApiKey { key_id: key(1) };
    let events = account.decide(revoke.clone()).unwrap();
    assert_eq!(events, vec![AccountEvent::ApiKeyRevoked { key_id: key(1) }]);
    events.into_iter().for_each(|e| account.apply(e));
    assert!(!account.has_api_key(&key(1)) && account.has_api_key(&key(2)));
    assert_eq!(account.decide(revoke).unwrap(), vec![]);
}
