//! What a sign-up screen asks without a session: what is on offer, the rules, whether a name is free; and when a rename is possible.

use atelier_commands::use_cases::CheckUsername;
use atelier_commands::{CommandError, Origin};
use atelier_server::config::AccessConfig;
use atelier_vault::credential_rows::claims;
use atelier_vault::{IndexDigest, IndexKind};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::code;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const OPTIONS: &str = "{ signUpOptions { google password { minLength maxBytes needsNumber needsSymbol } \
    username { minLength maxLength pattern } minimumAge } }";
const AVAILABILITY: &str = "query($username: String!) { usernameAvailability(username: $username) \
    { available userErrors { code field message retryAfter } } }";
const SIGN_UP: &str =
    "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field message retryAfter } } }";
const RENAME: &str = "mutation($username: String!) { changeUsername(input: {username: $username}) { userErrors { code message } position } }";

async fn options(studio: &TestStudio) -> Value {
    studio.graphql(None, OPTIONS, json!({})).await["signUpOptions"].take()
}

async fn availability(studio: &TestStudio, token: Option<&str>, username: &str) -> Value {
    studio.graphql(token, AVAILABILITY, json!({ "username": username })).await["usernameAvailability"].take()
}

fn index(studio: &TestStudio, username: &str) -> IndexDigest {
    studio.node.studio.write.blind_index.digest(IndexKind::Username, username)
}

async fn signs_up(studio: &TestStudio, username: &str, number: usize) -> Value {
    let input = json!({ "email": format!("newcomer-{number}@example.com"), "password": PASSWORD, "username": username, "minimumAge": 18 });
    studio.graphql(None, SIGN_UP, json!({ "input": input })).await["signUp"]["userErrors"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_the_rules_on_offer_are_the_rules_that_sign_up_goes_by() {
    let studio = TestStudio::start().await;
    let offered = options(&studio).await;
    assert_eq!(offered["google"], json!(false));
    assert_eq!(
        (&offered["password"]["needsNumber"], &offered["password"]["needsSymbol"]),
        (&json!(true), &json!(true))
    );
    let length =
        |what: &str, bound: &str| usize::try_from(offered[what][bound].as_u64().expect("a number")).expect("small");
    let (least, most) = (length("password", "minLength"), length("password", "maxBytes"));
    // At the bounds, and one beyond: guessable ones are refused otherwise.
    let of_length =
        |length: usize| format!("{}-9Zq", "kq7xw".repeat(length).chars().take(length - 4).collect::<String>());
    for (number, (length, good)) in
        [(least - 1, false), (least, true), (most, true), (most + 1, false)].into_iter().enumerate()
    {
        let input = json!({ "email": format!("length-{number}@example.com"), "password": of_length(length),
            "username": format!("length{number}"), "minimumAge": offered["minimumAge"] });
        let answer = studio.graphql(None, SIGN_UP, json!({ "input": input })).await["signUp"].take();
        assert_eq!(answer["userErrors"] == json!([]), good, "{length}: {answer}");
    }
    let young = json!({ "email": "young@example.com", "password": PASSWORD, "username": "young",
        "minimumAge": offered["minimumAge"].as_i64().expect("years") - 1 });
    let answer = studio.graphql(None, SIGN_UP, json!({ "input": young })).await["signUp"].take();
    assert_eq!(answer["userErrors"][0]["field"], json!("minimumAge"));
    let names = (length("username", "minLength"), length("username", "maxLength"));
    for (length, good) in [(names.0 - 1, false), (names.0, true), (names.1, true), (names.1 + 1, false)] {
        let answer = availability(&studio, None, &"z".repeat(length)).await;
        assert_eq!(answer["available"], json!(good), "{length}: {answer}");
    }
    studio.stop().await;
    // A deployment that asks for less says so.
    let studio = TestStudio::start_with(AccessConfig { password_composition: false, ..AccessConfig::default() }).await;
    let offered = options(&studio).await;
    assert_eq!(
        (&offered["password"]["needsNumber"], &offered["password"]["needsSymbol"]),
        (&json!(false), &json!(false))
    );
    studio.stop().await;
}

/// A name is asked about as it would be signed up with: the answers are compared word by word.
#[tokio::test(flavor = "multi_thread")]
async fn b9_whether_a_name_is_free_is_answered_as_sign_up_would() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    // Renamed: the old name sends visitors on. Erased: it is under quarantine.
    studio.mutate(Some(&ada.token), RENAME, json!({ "username": "countess" })).await;
    let write = &studio.node.studio.write;
    let account = studio.account(&ben).await;
    write.quarantine.put(&write.pool, account, write.now()).await.expect("under quarantine");
    atelier_vault::credential_rows::delete_account(&write.pool, account).await.expect("no rows are left");
    studio.signed_up("unverified").await;
    // Claims of sign-ups that died: a young one may still be at work, an old one is whoever's asks next.
    for (name, age) in [("young", 1), ("stale", 11)] {
        let claimed_at = write.now() - TimeDelta::minutes(age);
        let by_email = write.blind_index.digest(IndexKind::Email, &format!("{name}@dead.example"));
        let account = atelier_domain::AccountId(write.fresh_id());
        claims::claim_sign_up(&write.pool, account, &index(&studio, name), &by_email, None, claimed_at)
            .await
            .expect("claimed");
    }
    let table = [
        ("lovelace", ""),
        ("Lovelace2", ""),
        ("a_b-c9", ""),
        ("stale", ""),
        ("ada", "USERNAME_TAKEN"),
        ("ADA", "USERNAME_TAKEN"),
        ("countess", "USERNAME_TAKEN"),
        ("ben", "USERNAME_TAKEN"),
        ("unverified", "USERNAME_TAKEN"),
        ("young", "USERNAME_TAKEN"),
        ("admin", "INVALID_FIELD"),
        ("Support", "INVALID_FIELD"),
        ("", "INVALID_FIELD"),
        ("ab", "INVALID_FIELD"),
        ("9ada", "INVALID_FIELD"),
        ("a__b", "INVALID_FIELD"),
        ("ada-", "INVALID_FIELD"),
        ("\u{e4}da", "INVALID_FIELD"),
        ("a\0b", "INVALID_FIELD"),
        ("a b", "INVALID_FIELD"),
    ];
    for (number, (name, expected)) in table.into_iter().enumerate() {
        let asked = availability(&studio, None, name).await;
        assert_eq!((code(&asked), &asked["available"]), (expected, &json!(expected.is_empty())), "{name:?}: {asked}");
        assert_eq!(signs_up(&studio, name, number).await, asked["userErrors"], "{name:?}");
    }
    for name in ["lovelace", "stale"] {
        assert_eq!(code(&availability(&studio, None, name).await), "USERNAME_TAKEN", "it is somebody's by now");
    }
    // To its owner their own name is free, the one before it as well; to others neither.
    for name in ["ada", "countess"] {
        assert_eq!(availability(&studio, Some(&ada.token), name).await["available"], json!(true), "{name}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_one_client_cannot_ask_about_every_name_there_is() {
    let studio = TestStudio::start().await;
    let write = &studio.node.studio.write;
    let asks = async |client: &str| {
        let client = Some(write.secrets.client(client.parse().expect("an address")));
        let origin = Origin { client, ..Origin::default() };
        CheckUsername { username: "lovelace".to_owned(), account: None, origin }.run(write).await
    };
    let mut answered = 0;
    for _ in 0..80 {
        match asks("203.0.113.9").await {
            Ok(()) => answered += 1,
            Err(CommandError::Refused(refusal)) => assert!(refusal.retry_after.is_some(), "{refusal}"),
            Err(other) => panic!("{other:?}"),
        }
    }
    // Sixty are free; a slow machine is forgiven one more now and then.
    assert!((60..80).contains(&answered), "{answered}");
    assert!(asks("203.0.113.10").await.is_ok(), "another client is not slowed down");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u29_an_account_says_when_its_name_may_be_changed_again() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let changeable = async || {
        let me = studio.graphql(Some(&ada.token), "{ me { usernameChangeableAt } }", json!({})).await;
        let text = me["me"]["usernameChangeableAt"].as_str().map(str::to_owned);
        text.map(|text| text.parse::<DateTime<Utc>>().expect("RFC 3339"))
    };
    assert_eq!(changeable().await, None, "now");
    studio.mutate(Some(&ada.token), RENAME, json!({ "username": "countess" })).await;
    let at = changeable().await.expect("later");
    let early =
        studio.graphql(Some(&ada.token), RENAME, json!({ "username": "lovelace" })).await["changeUsername"].take();
    assert_eq!(code(&early), "NOT_POSSIBLE_NOW");
    let message = early["userErrors"][0]["message"].as_str().expect("a sentence").to_owned();
    assert!(message.contains(&at.format("%Y-%m-%d").to_string()), "the refusal names the same day: {message}, {at}");
    let days = at - studio.node.studio.write.now();
    assert!(days > TimeDelta::days(30) - TimeDelta::minutes(2) && days <= TimeDelta::days(30), "{days}");
    // Once that day has come, there is nothing to wait for.
    let account = studio.account(&ada).await;
    let changeable_at = atelier_commands::use_cases::change_username::changeable_at;
    assert_eq!(changeable_at(&studio.at(days + TimeDelta::seconds(1)), account).await.expect("the log answers"), None);
    studio.stop().await;
}
