//! Credits under a race: nobody spends what is not there, and every prefix of the log says so (L01, L08, U43, sec.A3).

use std::collections::BTreeMap;

use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerEvent, LedgerAccount};
use atelier_domain::{Credits, LedgerId, LogEvent};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use futures::future::join_all;
use serde_json::json;

use super::{balance, picture};
use crate::harness::TestStudio;

/// A ledger's events with the instant each was decided at.
async fn ledger(studio: &TestStudio, ledger: LedgerId) -> Vec<(CreditLedgerEvent, DateTime<Utc>)> {
    let id = ledger.to_string();
    let instants = sqlx::query_scalar("select decided_at from events where aggregate_id = $1 order by sequence");
    let instants: Vec<DateTime<Utc>> =
        instants.bind(&id).fetch_all(&studio.database.pool).await.expect("the log answers");
    let events = studio.stream("CreditLedger", &id).await.into_iter().map(|event| match event {
        LogEvent::CreditLedger(of, event) => {
            assert_eq!(of, ledger);
            event
        }
        LogEvent::Account(..) | LogEvent::Generation(..) => panic!("not of a ledger"),
    });
    events.zip(instants).collect()
}

/// Folds a ledger twice, by the program and by a plain sum of its entries, and holds both to the rules after each event.
fn check_every_prefix(events: &[(CreditLedgerEvent, DateTime<Utc>)]) -> (Credits, Credits) {
    let mut state = CreditLedger::default();
    let mut sums: BTreeMap<LedgerAccount, i64> = BTreeMap::new();
    let mut standing = (Credits::ZERO, Credits::ZERO);
    for (number, (event, at)) in events.iter().enumerate() {
        let total: i64 = event.entries().iter().map(|entry| entry.amount.get()).sum();
        assert_eq!(total, 0, "L01: event {number} balances: {event:?}");
        for entry in event.entries() {
            *sums.entry(entry.account).or_default() += entry.amount.get();
        }
        state.apply(event.clone());
        standing = (state.available(*at), state.held());
        let of_lots = |sums: &BTreeMap<LedgerAccount, i64>| -> i64 {
            sums.iter().filter(|(account, _)| matches!(account, LedgerAccount::Lot(_))).map(|(_, sum)| *sum).sum()
        };
        let held = sums.get(&LedgerAccount::Held).copied().unwrap_or_default();
        assert_eq!((of_lots(&sums), held), (standing.0.get(), standing.1.get()), "event {number}: both folds agree");
        assert!(standing.0 >= Credits::ZERO && standing.1 >= Credits::ZERO, "L08: event {number} leaves {standing:?}");
    }
    assert_eq!(sums.values().sum::<i64>(), 0, "L01: all accounts sum to zero");
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn l08_u43_a3_a_hundred_at_once_with_credits_for_five() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let account = studio.account(&person).await;
    let (_, key) = studio.api_key(&person).await;
    studio.hold_renders().await;
    let body = picture();
    let race = (0..100).map(|_| studio.post_with("/v1/generate", &key, &body, &[("prefer", "wait=0")]));
    let answers = join_all(race).await;
    let accepted = answers.iter().filter(|answer| answer.status.as_u16() == 202).count();
    assert_eq!(accepted, 5, "exactly what the balance pays for");
    for refused in answers.iter().filter(|answer| answer.status.as_u16() != 202) {
        let said = refused.json();
        let as_it_is = (refused.status.as_u16(), &said["error"], &said["required"], &said["available"]);
        assert_eq!(as_it_is, (402, &json!("insufficient_credits"), &json!(100), &json!(0)), "L06");
    }
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (0, 500), "all of it is held");
    studio.release_renders().await;
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (0, 0));
    let events = ledger(&studio, LedgerId::live(account)).await;
    assert_eq!(check_every_prefix(&events), (Credits::ZERO, Credits::ZERO));
    let count = |wanted: &str| events.iter().filter(|(event, _)| event.name() == wanted).count();
    assert_eq!(
        [count("CreditsGranted"), count("HoldPlaced"), count("HoldCaptured"), count("HoldVoided")],
        [1, 5, 5, 0],
        "L22: every success has exactly one capture"
    );
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l08_l10_a_race_of_dear_and_cheap_cancelled_and_delivered_never_overdraws() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let account = studio.account(&person).await;
    let (_, key) = studio.api_key(&person).await;
    let sizes =
        [("z-image-turbo", 1), ("z-image-turbo", 2), ("seedream-v4", 1), ("artsyn-light", 2), ("flux-2-pro", 1)];
    let race = (0..40).map(|number: usize| {
        let (model, images) = sizes[number % sizes.len()];
        let mut body = picture();
        (body["model"], body["num_images"]) = (json!(model), json!(images));
        let (studio, key) = (&studio, &key);
        async move {
            let answer = studio.post_with("/v1/generate", key, &body, &[("prefer", "wait=0")]).await;
            if answer.status.as_u16() != 202 {
                assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (402, &json!("insufficient_credits")));
                return;
            }
            if number.is_multiple_of(2) {
                let id = answer.json()["request_id"].as_str().expect("an id").to_owned();
                let cancelled = studio.post(&format!("/v1/generations/{id}/cancel"), key, &json!({})).await;
                assert!(matches!(cancelled.status.as_u16(), 200 | 409), "{}", cancelled.text);
            }
        }
    });
    join_all(race).await;
    studio.drain().await;
    let (available, held) = check_every_prefix(&ledger(&studio, LedgerId::live(account)).await);
    assert_eq!((available.get(), held.get()), balance(&studio, &key).await, "L18: the read model is the fold");
    assert_eq!(held, Credits::ZERO, "L10: no hold outlives its job");
    let (placed, captured, voided) = (
        studio.events_named("HoldPlaced").await,
        studio.events_named("HoldCaptured").await,
        studio.events_named("HoldVoided").await,
    );
    assert_eq!(placed, captured + voided, "L10: every hold ended once");
    assert_eq!(captured, studio.events_named("GenerationSucceeded").await, "L22");
    assert_eq!(voided, studio.events_named("GenerationCancelled").await);
    studio.stop().await;
}
