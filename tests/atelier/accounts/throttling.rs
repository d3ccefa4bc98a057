//! Guessing slows down, for known and unknown addresses alike, and a stranger who guesses slows nobody down on their own device (U35,
//! V08, sec.R5, sec.S4).

use atelier_server::config::AccessConfig;
use atelier_vault::credential_rows::tries::{self, Pace};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

use super::{code, sign_in, sign_in_raw, time_passes};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

/// Tries at an address until one is refused: how many were looked at, and how long the last of them made the next one wait, seconds.
async fn until_refused(studio: &TestStudio, email: &str) -> (usize, i64) {
    for number in 0..20 {
        let answer = sign_in(studio, &[], email, "wrong-horse-1").await;
        match code(&answer) {
            "INVALID_CREDENTIALS" => {}
            "RATE_LIMITED" => {
                let wait: i64 = sqlx::query_scalar(
                    "select extract(epoch from blocked_until - counted_at)::int8 from credentials.tries order by counted_at desc, blocked_until desc limit 1",
                )
                .fetch_one(&studio.database.pool)
                .await
                .expect("the rows answer");
                let told = answer["userErrors"][0]["retryAfter"].as_i64().expect("seconds");
                assert!((1..=wait).contains(&told), "{told} of {wait}");
                return (number, wait);
            }
            other => panic!("{other}: {answer}"),
        }
    }
    panic!("nobody was slowed down");
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_s4_unknown_and_known_addresses_slow_down_alike() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.signed_up("ben").await;
    for email in ["ben@example.com", "nobody@example.com", "no address", ada.email.as_str()] {
        let expected = (6, 10);
        assert_eq!(
            until_refused(&studio, email).await,
            expected,
            "{email}: five are free, the sixth makes the next one wait"
        );
    }
    // The right password is no way around it, and waiting is. A refusal is data, with the status of an answer.
    let refused = sign_in_raw(&studio, &[], &ada.email, PASSWORD).await;
    assert_eq!(code(&refused.json()["data"]["signIn"]), "RATE_LIMITED");
    assert_eq!((refused.status.as_u16(), refused.headers.contains_key("set-cookie")), (200, false), "{}", refused.text);
    time_passes(&studio, 11).await;
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, PASSWORD).await), "");
    // Whoever has proven who they are begins anew.
    assert_eq!(until_refused(&studio, &ada.email).await.0, 6);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_the_wait_doubles_is_bounded_and_falls_again() {
    let studio = TestStudio::start().await;
    let mut waits = Vec::new();
    for round in 0..10 {
        let (looked_at, wait) = until_refused(&studio, "ada@example.com").await;
        assert_eq!(looked_at, if round == 0 { 6 } else { 1 }, "one try for each wait");
        waits.push(wait);
        // Just so long, and no longer: nothing is forgiven on the way.
        let passed = "update credentials.tries set blocked_until = 'epoch'";
        sqlx::query(passed).execute(&studio.database.pool).await.expect("set");
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 900, 900, 900], "U35: never for good");
    // Each quarter of an hour without a try forgives one.
    time_passes(&studio, 900 * 12 + 1).await;
    assert_eq!(until_refused(&studio, "ada@example.com").await, (3, 10));
    time_passes(&studio, 86_400).await;
    assert_eq!(until_refused(&studio, "ada@example.com").await, (6, 10));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_a_stranger_who_hammers_slows_nobody_down_on_their_own_device() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let first = sign_in_raw(&studio, &[], &ada.email, PASSWORD).await;
    let cookies = first.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().expect("ASCII"));
    let cookie = cookies
        .into_iter()
        .find(|cookie| cookie.starts_with("atelier-device-dev="))
        .expect("a device cookie")
        .to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let pair = cookie.split("; ").next().expect("a pair").to_owned();
    let token = first.json()["data"]["signIn"]["deviceToken"].as_str().expect("a token").to_owned();
    assert_eq!(pair, format!("atelier-device-dev={token}"));
    until_refused(&studio, &ada.email).await;
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, PASSWORD).await), "RATE_LIMITED", "from anywhere else");
    for _ in 0..3 {
        assert_eq!(code(&sign_in(&studio, &[("cookie", &pair)], &ada.email, PASSWORD).await), "", "with the cookie");
        let input = json!({ "input": { "email": ada.email, "password": PASSWORD, "deviceToken": token } });
        let by_token = studio.graphql(None, super::SIGN_IN, input).await["signIn"].take();
        assert_eq!(code(&by_token), "", "with the token");
    }
    // It is hers and no other's, and signs nobody in.
    until_refused(&studio, &ben.email).await;
    assert_eq!(code(&sign_in(&studio, &[("cookie", &pair)], &ben.email, PASSWORD).await), "RATE_LIMITED");
    assert!(!super::counts(&studio, &token).await);
    // A stolen one guesses in a bucket of its own, which slows down as well, and the owner's next device is untouched by it.
    let mut refused = 0;
    for _ in 0..15 {
        refused += i32::from(
            code(&sign_in(&studio, &[("cookie", &pair)], &ada.email, "wrong-horse-1").await) == "RATE_LIMITED",
        );
    }
    assert!(refused > 0, "its own bucket slows down");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_fifty_at_once_are_counted_one_by_one() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let answers = join_all((0..50).map(|_| sign_in(&studio, &[], &ada.email, "wrong-horse-1"))).await;
    let of = |wanted: &str| answers.iter().filter(|answer| code(answer) == wanted).count();
    assert_eq!(
        (of("INVALID_CREDENTIALS"), of("RATE_LIMITED")),
        (6, 44),
        "no more are looked at together than one by one"
    );
    // The counting itself: fifty at once are fifty.
    let write = &studio.node.studio.write;
    let bucket = write.secrets.tries("test", &[b"one"]);
    let pace = Pace {
        free: 100,
        forgive: Duration::from_secs(60),
        pause: Duration::from_secs(1),
        cap: Duration::from_secs(1),
    };
    let count =
        || async { tries::count(&write.pool, &[(bucket, pace)], None, write.now()).await.expect("the rows answer") };
    assert!(join_all((0..50).map(|_| count())).await.iter().all(Option::is_none));
    let counted: i32 = sqlx::query_scalar("select tries from credentials.tries where bucket = $1")
        .bind(&bucket.as_bytes()[..])
        .fetch_one(&studio.database.pool)
        .await
        .expect("the rows answer");
    assert_eq!(counted, 50);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_client_is_slowed_down_over_all_addresses_and_cannot_make_clients_up() {
    let proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    let studio = TestStudio::start_with(AccessConfig { trusted_proxies: proxies, ..AccessConfig::default() }).await;
    let ada = studio.newcomer("ada").await;
    let from = async |forwarded: &str, number: usize| -> Value {
        sign_in(&studio, &[("x-forwarded-for", forwarded)], &format!("person{number}@example.com"), "wrong-horse-1")
            .await
    };
    // One try at each of many addresses, and each time another invented hop in front.
    let mut looked_at = 0;
    for number in 0..40 {
        looked_at += usize::from(
            code(&from(&format!("198.51.100.{number}, 203.0.113.9"), number).await) == "INVALID_CREDENTIALS",
        );
    }
    assert_eq!(looked_at, 31, "thirty are free");
    assert_eq!(code(&from("203.0.113.10", 99).await), "INVALID_CREDENTIALS", "another client is not slowed down");
    // Nobody's own account gives the client its tries at others back, but for the one it was.
    time_passes(&studio, 11).await;
    let own = sign_in(&studio, &[("x-forwarded-for", "203.0.113.9")], &ada.email, PASSWORD).await;
    assert_eq!(code(&own), "");
    assert_eq!(code(&from("203.0.113.9", 100).await), "INVALID_CREDENTIALS");
    assert_eq!(code(&from("203.0.113.9", 101).await), "RATE_LIMITED");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u35_buckets_tell_nothing_expire_and_go_with_their_account() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    until_refused(&studio, &ada.email).await;
    until_refused(&studio, "nobody@example.com").await;
    let rows = "select count(*) from credentials.tries where account_id is not distinct from $1";
    let count = async |owner: Option<uuid::Uuid>| -> i64 {
        sqlx::query_scalar(rows).bind(owner).fetch_one(&studio.database.pool).await.expect("the rows answer")
    };
    assert!(count(Some(account.0)).await >= 1 && count(None).await >= 1);
    let write = &studio.node.studio.write;
    atelier_vault::credential_rows::delete_account(&write.pool, account).await.expect("the rows answer");
    assert_eq!(count(Some(account.0)).await, 0);
    // The bound, and then the day.
    let removed = tries::remove_expired(&write.pool, write.now(), 1, 100).await.expect("the rows answer");
    assert!(removed >= 1 && count(None).await == 1, "{removed}");
    sqlx::query("update credentials.tries set expires_at = now() - interval '1 second'")
        .execute(&studio.database.pool)
        .await
        .expect("set");
    atelier_commands::reconciler::reconcile(write).await.expect("a round");
    assert_eq!(count(None).await, 0);
    studio.stop().await;
}
