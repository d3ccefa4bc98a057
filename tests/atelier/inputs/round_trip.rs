//! What is accepted is the same value everywhere: in the event, in the row beside it, in the read model and in the answer (A1).

use atelier_domain::account::AccountEvent;
use atelier_domain::{Credits, LogEvent};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::hostile::instants;
use super::schema::Inputs;
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const CREATE: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { id position \
    userErrors { code field message reason min max } } }";

/// The end and the caps of an account's last key, in the log.
async fn last_key(studio: &TestStudio, person: &Person) -> (Option<DateTime<Utc>>, Option<Credits>, Option<Credits>) {
    let account = studio.account(person).await.to_string();
    let events = studio.stream("Account", &account).await;
    let ends = events.iter().rev().find_map(|event| match event {
        LogEvent::Account(_, AccountEvent::ApiKeyCreated { expires_at, caps, .. }) => {
            Some((*expires_at, caps.daily, caps.total))
        }
        _ => None,
    });
    ends.expect("a key was made")
}

async fn shown(studio: &TestStudio, person: &Person) -> Value {
    studio.drain().await;
    let query = "{ me { apiKeys(first: 1) { edges { node { expiresAt dailyCap totalCap } } } } }";
    let me = studio.graphql(Some(&person.token), query, json!({})).await;
    me["me"]["apiKeys"]["edges"][0]["node"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_the_end_of_a_key_is_the_same_instant_everywhere_or_refused() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let now = studio.node.studio.write.now();
    let (mut accepted, mut refused) = (0, 0);
    for written in instants(now) {
        let input = json!({ "label": "laptop", "expiresAt": written });
        let answer = studio.graphql_raw(Some(&ada.token), CREATE, json!({ "input": input })).await;
        let made = &answer["data"]["createApiKey"];
        if made["id"].is_null() {
            refused += 1;
            if answer["errors"].is_null() {
                let error = &made["userErrors"][0];
                assert_eq!(
                    (&error["code"], &error["field"]),
                    (&json!("INVALID_FIELD"), &json!("expiresAt")),
                    "{answer}"
                );
                let reason = error["reason"].as_str().expect("a reason");
                assert!(["IN_THE_PAST", "TOO_FAR_AHEAD"].contains(&reason), "{written}: {reason}");
            } else {
                assert_eq!(answer["errors"][0]["extensions"]["code"], json!("BAD_INPUT"), "{written}: {answer}");
            }
            continue;
        }
        accepted += 1;
        let (ends, ..) = last_key(&studio, &ada).await;
        let ends = ends.expect("an end");
        let row: DateTime<Utc> =
            sqlx::query_scalar("select expires_at from credentials.api_keys order by created_at desc limit 1")
                .fetch_one(&studio.database.pool)
                .await
                .expect("a row");
        let read = shown(&studio, &ada).await["expiresAt"].as_str().map(|text| text.parse::<DateTime<Utc>>());
        assert_eq!((row, read), (ends, Some(Ok(ends))), "{written}");
        let asked: DateTime<Utc> = written.parse().expect("it was accepted");
        // Counted since 1970, where a leap second is the one after it.
        let moved = ends.timestamp_micros() - asked.timestamp_micros();
        assert!((0..=1).contains(&moved), "{written} became {ends}");
        assert_eq!(ends.timestamp_subsec_nanos() % 1_000, 0, "whole microseconds: {ends}");
    }
    assert!(accepted >= 6 && refused >= 15, "{accepted} accepted, {refused} refused");
    // Ten years, and not a day more.
    for (days, reason) in [(3_650, None), (3_655, Some("TOO_FAR_AHEAD")), (-1, Some("IN_THE_PAST"))] {
        let input = json!({ "label": "laptop", "expiresAt": now + TimeDelta::days(days) });
        let answer = studio.graphql_raw(Some(&ada.token), CREATE, json!({ "input": input })).await;
        assert_eq!(answer["data"]["createApiKey"]["userErrors"][0]["reason"].as_str(), reason, "{days}: {answer}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_caps_come_back_as_they_were_sent_or_are_refused_with_their_bounds() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for cap in [1, 2, 1_000_000, i64::from(i32::MAX) / 2] {
        let input = json!({ "label": "laptop", "dailyCap": cap, "totalCap": cap });
        studio.mutate(Some(&ada.token), CREATE, json!({ "input": input })).await;
        let (_, daily, total) = last_key(&studio, &ada).await;
        assert_eq!((daily, total), (Some(Credits::new(cap)), Some(Credits::new(cap))));
        let shown = shown(&studio, &ada).await;
        assert_eq!((&shown["dailyCap"], &shown["totalCap"]), (&json!(cap), &json!(cap)));
    }
    for cap in [0, -1, i64::from(i32::MIN)] {
        let input = json!({ "label": "laptop", "dailyCap": cap, "totalCap": cap });
        let answer = studio.graphql_raw(Some(&ada.token), CREATE, json!({ "input": input })).await;
        let errors = &answer["data"]["createApiKey"]["userErrors"];
        for (number, field) in ["dailyCap", "totalCap"].into_iter().enumerate() {
            let error = &errors[number];
            assert_eq!((&error["field"], &error["reason"]), (&json!(field), &json!("OUT_OF_RANGE")), "{answer}");
            assert_eq!((&error["min"], error["max"].as_i64()), (&json!(1), Some(Credits::MAX.get())), "{answer}");
        }
    }
    studio.stop().await;
}

/// Texts with anything that Unicode has and a name may have, and what becomes of them.
#[tokio::test(flavor = "multi_thread")]
async fn a1_texts_come_back_as_they_were_kept() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    assert!(Inputs::of(&studio).await.inputs.contains_key("UpdateProfileInput"));
    let update =
        "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { position userErrors { code field } } }";
    for (sent, kept) in [
        ("e\u{301}", "\u{e9}"),
        ("  \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} ", "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}"),
        ("\u{FFFD}\u{E000}\u{10FFFD}", "\u{FFFD}\u{E000}\u{10FFFD}"),
        ("\u{0634}\u{200F}\u{05D0}", "\u{0634}\u{200F}\u{05D0}"),
        ("\"\\<b>&amp;%00\\u0000", "\"\\<b>&amp;%00\\u0000"),
    ] {
        let input = json!({ "displayName": sent, "bio": sent });
        studio.mutate(Some(&ada.token), update, json!({ "input": input })).await;
        studio.drain().await;
        let query = "{ me { profile { displayName bio } } }";
        let me = studio.graphql(Some(&ada.token), query, json!({})).await;
        assert_eq!(me["me"]["profile"], json!({ "displayName": kept, "bio": kept }), "{sent:?}");
    }
    studio.stop().await;
}
