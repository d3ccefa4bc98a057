//! Changing a password, and what passwords may be: the current one first, the other sessions end with it, nothing is half done
//! (V07, V08, C5, sec.S1-S3).

use std::time::Duration;

use atelier_commands::reconciler::reconcile;
use atelier_domain::account::PasswordVia;
use atelier_server::config::AccessConfig;
use atelier_vault::credential_rows::passwords::{self, Grounds, PasswordChange};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{code, counts, sign_in};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const CHANGE: &str = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) \
    { userErrors { code field message } position } }";
const NEW: &str = "another-horse-2";

async fn change(studio: &TestStudio, token: &str, current: &str, new: &str) -> Value {
    let input = json!({ "input": { "currentPassword": current, "newPassword": new } });
    studio.graphql(Some(token), CHANGE, input).await["changePassword"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn v08_c5_a_changed_password_counts_alone_and_ends_the_other_sessions() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let other = studio.sign_in(&ada.email, PASSWORD).await;
    let wrong = change(&studio, &ada.token, "wrong-horse-1", NEW).await;
    assert_eq!((code(&wrong), &wrong["userErrors"][0]["field"]), ("INVALID_CREDENTIALS", &json!("currentPassword")));
    for (new, why) in
        [("short-1", "at least 8"), ("longenough1", "symbol"), ("password1!", "easy"), ("ada@example.com1!", "easy")]
    {
        let refused = change(&studio, &ada.token, PASSWORD, new).await;
        assert_eq!(
            (code(&refused), &refused["userErrors"][0]["field"]),
            ("INVALID_FIELD", &json!("newPassword")),
            "{new}"
        );
        assert!(refused["userErrors"][0]["message"].as_str().expect("a sentence").contains(why), "{refused}");
    }
    assert!(counts(&studio, &other).await, "nothing was changed");
    assert_eq!(code(&change(&studio, &ada.token, PASSWORD, NEW).await), "");
    assert!(counts(&studio, &ada.token).await && !counts(&studio, &other).await, "C5: at once");
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, PASSWORD).await), "INVALID_CREDENTIALS");
    studio.sign_in(&ada.email, NEW).await;
    let account = studio.account(&ada).await;
    let names = studio.names("Account", &account.to_string()).await;
    assert_eq!(names[names.len() - 3..], ["PasswordChanged", "SessionEnded", "SessionStarted"], "in one append");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v08_the_password_that_counts_already_is_not_written_again_and_the_rest_ends_all_the_same() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let stored = async || -> (String, i64) {
        let row = sqlx::query_as("select phc, version from credentials.passwords");
        row.fetch_one(&studio.database.pool).await.expect("a row")
    };
    let ask = async |named: &str, more: Value| {
        let mut input = json!({ "currentPassword": PASSWORD, "newPassword": PASSWORD });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let bearer = format!("Bearer {}", ada.token);
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", named)];
        let answer = studio.graphql_with(&headers, CHANGE, json!({ "input": input })).await;
        let hit = answer.headers.contains_key("idempotency-hit");
        (answer.json()["data"]["changePassword"].take(), hit)
    };
    let before = stored().await;
    studio.drain().await;
    let head = studio.head().await;
    for _ in 0..2 {
        let (same, hit) = ask("one", json!({})).await;
        assert_eq!((&same["userErrors"], same["position"].is_string(), hit), (&json!([]), true, false), "{same}");
    }
    studio.drain().await;
    assert_eq!((studio.head().await, stored().await), (head, before.clone()), "nothing was appended");
    let (wrong, _) = ask("one", json!({ "currentPassword": "wrong-horse-1", "newPassword": "wrong-horse-1" })).await;
    assert_eq!(code(&wrong), "INVALID_CREDENTIALS", "it is no way to learn of the current one");
    // Where there is something to end, it ends: the other sessions, and the keys for whom they are to.
    let other = studio.sign_in(&ada.email, PASSWORD).await;
    let (same, hit) = ask("one", json!({})).await;
    assert_eq!((&same["userErrors"], hit), (&json!([]), false), "the key was free: {same}");
    assert!(counts(&studio, &ada.token).await && !counts(&studio, &other).await);
    assert!(studio.get("/v1/credits", Some(&key)).await.status.is_success());
    let another = studio.sign_in(&ada.email, PASSWORD).await;
    let (again, hit) = ask("one", json!({})).await;
    assert_eq!((&again["position"], hit), (&same["position"], true), "{again}");
    assert!(counts(&studio, &another).await, "a repeat ends nothing that began since");
    let (same, _) = ask("two", json!({ "revokeApiKeys": true })).await;
    assert_eq!(same["userErrors"], json!([]), "{same}");
    assert!(!studio.get("/v1/credits", Some(&key)).await.status.is_success());
    assert!(counts(&studio, &ada.token).await && !counts(&studio, &another).await);
    studio.drain().await;
    let events = ["PasswordChanged", "SessionEnded", "ApiKeyRevoked"];
    let counted = join_all(events.map(|name| studio.events_named(name))).await;
    assert_eq!((counted, stored().await), (vec![0, 2, 1], before));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v08_wrong_current_passwords_slow_down() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let mut looked_at = 0;
    for _ in 0..14 {
        looked_at +=
            usize::from(code(&change(&studio, &ada.token, "wrong-horse-1", NEW).await) == "INVALID_CREDENTIALS");
    }
    assert_eq!(looked_at, 11, "ten are free");
    assert_eq!(code(&change(&studio, &ada.token, PASSWORD, NEW).await), "RATE_LIMITED", "V08: the right one waits too");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v08_of_many_changes_at_once_one_counts() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let news: Vec<String> = (0..6).map(|number| format!("another-horse-{number}")).collect();
    let answers = join_all(news.iter().map(|new| {
        let input = json!({ "input": { "currentPassword": PASSWORD, "newPassword": new } });
        studio.graphql_raw(Some(&ada.token), CHANGE, input)
    }))
    .await;
    let done: Vec<usize> =
        (0..6).filter(|n| answers[*n]["data"]["changePassword"]["userErrors"] == json!([])).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    studio.drain().await;
    assert_eq!(studio.events_named("PasswordChanged").await, 1);
    studio.sign_in(&ada.email, &news[done[0]]).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_a_change_whose_process_died_before_its_event_is_completed_once() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let other = studio.sign_in(&ada.email, PASSWORD).await;
    let account = studio.account(&ada).await;
    let write = &studio.node.studio.write;
    let phc = write.passwords.hash(NEW).await.expect("it hashes");
    let kept = sqlx::query_scalar("select session_id from credentials.sessions order by created_at limit 1");
    let kept: uuid::Uuid = kept.fetch_one(&studio.database.pool).await.expect("the rows answer");
    let keeps = Some(atelier_domain::SessionId(kept));
    let dead = PasswordChange { id: write.fresh_id(), account, via: PasswordVia::Change, keeps };
    assert!(
        passwords::change(&write.pool, &dead, Grounds::Password(1), &phc, passwords::Ends::default(), write.now())
            .await
            .expect("rows")
    );
    // From the row on, only the new one counts.
    assert!(!counts(&studio, &other).await && counts(&studio, &ada.token).await);
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, PASSWORD).await), "INVALID_CREDENTIALS");
    assert_eq!(studio.events_named("PasswordChanged").await, 0);
    // Young, it may still be at work.
    reconcile(write).await.expect("a round");
    assert_eq!(studio.events_named("PasswordChanged").await, 0);
    let aged = "update credentials.passwords set changed_at = changed_at - interval '11 minutes'";
    sqlx::query(aged).execute(&studio.database.pool).await.expect("set");
    let rounds = join_all((0..2).map(|_| reconcile(write))).await;
    assert!(rounds.iter().all(Result::is_ok), "{rounds:?}");
    reconcile(write).await.expect("a round");
    assert_eq!((studio.events_named("PasswordChanged").await, studio.events_named("SessionEnded").await), (1, 1));
    assert!(counts(&studio, &ada.token).await, "the session that asked goes on");
    studio.sign_in(&ada.email, NEW).await;
    // The event stands already, and only the mark was left: nothing more is written.
    let mark = "update credentials.passwords set change_id = $1, change_via = 'change', change_keeps = $2";
    sqlx::query(mark).bind(dead.id).bind(kept).execute(&studio.database.pool).await.expect("set");
    reconcile(write).await.expect("a round");
    assert_eq!(studio.events_named("PasswordChanged").await, 1);
    assert_eq!(passwords::unrecorded_before(&write.pool, write.now(), 10).await.expect("rows"), []);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_passwords_are_kept_to_the_byte_and_composition_is_a_setting() {
    let lenient = AccessConfig { password_composition: false, ..AccessConfig::default() };
    let studio = TestStudio::start_with(lenient).await;
    let ada = studio.newcomer("ada").await;
    let long = "a long walk over wet grass before anybody is up ".repeat(5);
    let mut current = PASSWORD.to_owned();
    let table = [
        "  spaces matter here  ",
        "\u{e9}t\u{e9} caf\u{e9} na\u{ef}ve",
        "e\u{301}te\u{301} cafe\u{301} nai\u{308}ve",
        "onlyletterswithoutsense",
        long.as_str(),
    ];
    for new in table {
        assert_eq!(code(&change(&studio, &ada.token, &current, new).await), "", "{new:?}");
        current = new.to_owned();
        studio.sign_in(&ada.email, new).await;
        for other in [new.trim().to_owned(), new.to_uppercase(), format!("{new} "), new.chars().take(60).collect()] {
            if other != new {
                assert_eq!(code(&sign_in(&studio, &[], &ada.email, &other).await), "INVALID_CREDENTIALS", "{other:?}");
            }
        }
        super::time_passes(&studio, 86_400).await;
    }
    for common in ["password", "iloveyou", "sunshine", "12345678", "football", "aaaaaaaa"] {
        assert_eq!(code(&change(&studio, &ada.token, &current, common).await), "INVALID_FIELD", "{common}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_an_old_hash_is_made_anew_and_never_over_a_newer_password() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let write = &studio.node.studio.write;
    // "password" with other settings, made by argon2's reference program.
    let old = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    passwords::set(&write.pool, account, old, write.now()).await.expect("the rows answer");
    studio.sign_in(&ada.email, "password").await;
    let stored = passwords::get(&write.pool, account).await.expect("the rows answer").expect("a password");
    assert!(stored.phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && stored.version == 1, "{}", stored.phc);
    studio.sign_in(&ada.email, "password").await;
    // The sign-in read the old hash; the password is another one by now.
    assert!(!passwords::rehash(&write.pool, account, old, "$argon2id$stale").await.expect("the rows answer"));
    assert_eq!(passwords::get(&write.pool, account).await.expect("the rows answer"), Some(stored));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_full_hasher_refuses_and_holds_nobody_else_up() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let write = &studio.node.studio.write;
    // Every place is taken by hashes that wait for each other; none is looked at until they are let go.
    let crowd: Vec<_> = (0..300)
        .map(|_| {
            tokio::spawn({
                let passwords = write.passwords.clone();
                async move { passwords.verify_dummy("crowd").await }
            })
        })
        .collect();
    let plain = async {
        tokio::time::timeout(Duration::from_secs(30), counts(&studio, &ada.token))
            .await
            .expect("a plain query is answered")
    };
    let (answer, whole) = tokio::join!(sign_in(&studio, &[], &ada.email, PASSWORD), plain);
    assert!(whole);
    let busy = join_all(crowd).await.into_iter().filter(|done| matches!(done, Ok(Err(_)))).count();
    assert!(busy > 0, "the crowd was too small");
    if code(&answer) == "RATE_LIMITED" {
        assert_eq!(answer["userErrors"][0]["retryAfter"], json!(1));
    }
    // Nothing of it counts as a try at her address.
    for _ in 0..5 {
        assert_eq!(code(&sign_in(&studio, &[], &ada.email, "wrong-horse-1").await), "INVALID_CREDENTIALS");
    }
    studio.sign_in(&ada.email, PASSWORD).await;
    studio.stop().await;
}
