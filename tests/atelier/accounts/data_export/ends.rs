//! Who gets a copy, who does not, how many there are, and how each ends.

use atelier_commands::process::{Work, enqueue};
use atelier_projections::models::data_exports::{self, ExportState};
use chrono::TimeDelta;
use futures::join;
use serde_json::{Value, json};

use super::super::time_passes;
use super::{EXPORTS, READY, REQUEST, asked, export_id, exports, fetched, made, mails, refused, states, stored};
use crate::harness::TestStudio;

fn url(export: &Value) -> String {
    export["url"].as_str().expect("a link").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_only_its_owner_gets_a_copy_and_for_everybody_else_there_is_none() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (_, key) = studio.api_key(&ada).await;
    let export = made(&studio, &ada).await;
    let link = url(&export);
    assert_eq!(link, format!("{}/exports/{}", studio.url, export["id"].as_str().expect("an id")));
    // The mail's link is this one, and grants nothing.
    let mailed = studio.node.mailbox.list(100).await.expect("the mailbox");
    let mailed = mailed.iter().find(|mail| mail.subject == READY).expect("a mail");
    let mail = studio.node.mailbox.read(&mailed.file).await.expect("a mail").expect("it is there");
    assert!(mailed.to == ada.email && mail.text.lines().any(|line| line == link), "{}", mail.text);
    let me = studio.graphql(Some(&ada.token), "{ me { notices { edges { node { topic kind } } } } }", json!({})).await;
    assert_eq!(me["me"]["notices"]["edges"][0]["node"], json!({ "topic": "DATA_EXPORT_READY", "kind": "SECURITY" }));
    let unknown = format!("{}/exports/exp_{}", studio.url, "7".repeat(32));
    for accept in ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8"] {
        let (status, headers, nothing) = fetched(&studio, &unknown, Some(&ada.token), accept).await;
        assert_eq!((status, headers["cache-control"].to_str().expect("ASCII")), (404, "private, no-store"));
        let cases = [
            (&link, Some(ben.token.as_str())),
            (&link, None),
            (&link, Some("nonsense")),
            // B01: a key is no session.
            (&link, Some(key.as_str())),
            (&unknown, None),
        ];
        for (link, token) in cases {
            let (status, theirs, body) = fetched(&studio, link, token, accept).await;
            let without_date = |headers: &reqwest::header::HeaderMap| {
                let told = headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
                told.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect::<Vec<_>>()
            };
            assert_eq!((status, &body), (404, &nothing), "{link} with {token:?}");
            assert_eq!(without_date(&theirs), without_date(&headers), "{link} with {token:?}");
        }
        assert_eq!(String::from_utf8_lossy(&nothing).contains("Sign in"), accept.starts_with("text/html"));
    }
    for wrong in [
        link.to_uppercase().replace("HTTP", "http"),
        format!("{link}.zip"),
        link.replace("exp_", ""),
        format!("{link}/x"),
    ] {
        assert_eq!(fetched(&studio, &wrong, Some(&ada.token), "*/*").await.0, 404, "{wrong}");
    }
    // A browser that follows the mail's link comes with its cookie.
    let cookie = format!("atelier-session-dev={}", ada.token);
    let answer = studio.client().get(&link).header("cookie", cookie).send().await.expect("the node answers");
    assert_eq!(answer.status().as_u16(), 200);
    let out = "mutation { revokeAllSessions { userErrors { code } } }";
    studio.mutate(Some(&ada.token), out, json!({})).await;
    assert_eq!(fetched(&studio, &link, Some(&ada.token), "*/*").await.0, 404, "sec.S6: on the very next request");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_a_request_takes_a_fresh_proof_and_two_at_once_are_one() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.hold_exports().await;
    let aged = "update credentials.sessions set proved_at = proved_at - make_interval(mins => $1)";
    let age = async |minutes: i32| sqlx::query(aged).bind(minutes).execute(&studio.database.pool).await.expect("aged");
    age(11).await;
    assert_eq!(refused(&studio, &ada).await, json!("REAUTHENTICATION_REQUIRED"));
    age(-11).await;
    let ask = || studio.graphql(Some(&ada.token), REQUEST, json!({}));
    let (one, other) = join!(ask(), ask());
    let mut codes = [one, other]
        .map(|answer| answer["requestDataExport"]["userErrors"][0]["code"].as_str().unwrap_or_default().to_owned());
    codes.sort();
    assert_eq!(codes, ["", "NOT_POSSIBLE_NOW"]);
    // A refusal costs nothing: it can be refused often, and another copy be had at once.
    for _ in 0..6 {
        assert_eq!(refused(&studio, &ada).await, json!("NOT_POSSIBLE_NOW"));
    }
    assert_eq!(states(&studio, &ada).await, ["PREPARING"]);
    let preparing = exports(&studio, &ada).await.swap_remove(0);
    assert_eq!(
        (&preparing["url"], &preparing["bytes"], &preparing["readyAt"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let id = preparing["id"].as_str().expect("an id");
    assert_eq!(fetched(&studio, &format!("{}/exports/{id}", studio.url), Some(&ada.token), "*/*").await.0, 404);
    studio.release_exports().await;
    studio.drain().await;
    assert_eq!(states(&studio, &ada).await, ["READY"]);
    made(&studio, &ada).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_three_are_kept_and_made_and_then_one_in_half_a_day() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let first = made(&studio, &ada).await;
    for _ in 0..2 {
        made(&studio, &ada).await;
    }
    let answer = studio.graphql(Some(&ada.token), REQUEST, json!({})).await;
    let error = &answer["requestDataExport"]["userErrors"][0];
    assert_eq!(error["code"], json!("RATE_LIMITED"));
    assert!(error["retryAfter"].as_i64().is_some_and(|wait| (1..=43_200).contains(&wait)), "{error}");
    assert_eq!((states(&studio, &ada).await.len(), stored(&studio, account).len()), (3, 3));
    time_passes(&studio, 43_201).await;
    made(&studio, &ada).await;
    assert_eq!(states(&studio, &ada).await, ["READY", "READY", "READY", "EXPIRED"]);
    assert_eq!(stored(&studio, account).len(), 3, "the oldest made room");
    assert_eq!(fetched(&studio, &url(&first), Some(&ada.token), "*/*").await.0, 404);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_a_copy_ends_after_seven_days_to_the_second_and_its_object_goes() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let export = made(&studio, &ada).await;
    let at =
        |name: &str| chrono::DateTime::parse_from_rfc3339(export[name].as_str().expect("an instant")).expect("one");
    let (ready, until) = (at("readyAt"), at("expiresAt"));
    assert!((until - ready - TimeDelta::days(7)).abs() < TimeDelta::seconds(60), "{ready} {until}");
    for (now, state) in [(until - TimeDelta::seconds(1), ExportState::Ready), (until, ExportState::Expired)] {
        let mut snapshot = studio.node.studio.read.snapshot(&[data_exports::NAME], None).await.expect("a snapshot");
        let seen = data_exports::of(&mut snapshot, account, now.to_utc()).await.expect("read");
        assert_eq!(seen[0].state, state, "{now}");
    }
    // Over is over, removed or not.
    studio.as_superuser("update read_models_a.data_exports_v1 set expires_at = now() - interval '1 second'").await;
    assert_eq!(states(&studio, &ada).await, ["EXPIRED"]);
    assert_eq!(fetched(&studio, &url(&export), Some(&ada.token), "*/*").await.0, 404);
    // The timer is set for that instant, and by this node's clock it is too early.
    let due: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select due_at from process_work where payload->>'kind' = 'remove_data_export'")
            .fetch_one(&studio.database.pool)
            .await
            .expect("a timer");
    assert!((due - until.to_utc()).abs() < TimeDelta::seconds(1), "{due} {until}");
    studio.fire_timers("remove_data_export").await;
    studio.drain().await;
    assert_eq!(stored(&studio, account).len(), 1, "not before its time");
    let moved = "update process_work set due_at = now(), payload = jsonb_set(payload, '{at}', to_jsonb(now() - interval '1 second')) \
        where payload->>'kind' = 'remove_data_export'";
    sqlx::query(moved).execute(&studio.database.pool).await.expect("moved");
    studio.drain().await;
    assert_eq!(stored(&studio, account), []);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u25_what_cannot_be_made_in_a_day_is_given_up_and_another_may_be_asked_for() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    studio.hold_exports().await;
    let id = asked(&studio, &ada).await;
    studio.drain().await;
    studio.fire_timers("give_up_data_export").await;
    studio.drain().await;
    assert_eq!(states(&studio, &ada).await, ["PREPARING"], "not before its time");
    let late = Work::GiveUpDataExport {
        account,
        export: export_id(&id),
        at: studio.node.studio.write.now() - TimeDelta::seconds(1),
    };
    for n in 0..2 {
        enqueue(&studio.database.pool, &format!("test:late:{n}"), &late).await.expect("work is enqueued");
    }
    studio.drain().await;
    assert_eq!(states(&studio, &ada).await, ["FAILED"]);
    assert_eq!(
        (studio.events_named("DataExportFailed").await, mails(&studio, "The copy of your data could not").await),
        (1, 1)
    );
    let me = studio.graphql(Some(&ada.token), "{ me { notices { edges { node { topic } } } } }", json!({})).await;
    assert_eq!(me["me"]["notices"]["edges"][0]["node"]["topic"], json!("DATA_EXPORT_FAILED"));
    // Whoever comes to it now makes nothing; the next one is made.
    studio.release_exports().await;
    studio.drain().await;
    assert_eq!((stored(&studio, account).len(), studio.events_named("DataExportReady").await), (0, 0));
    made(&studio, &ada).await;
    assert_eq!(states(&studio, &ada).await, ["READY", "FAILED"]);
    // Read by another node's eyes: the list is the account's own.
    let ben = studio.newcomer("ben").await;
    let theirs = studio.graphql(Some(&ben.token), EXPORTS, json!({})).await;
    assert_eq!(theirs["me"]["dataExports"], json!([]));
    studio.stop().await;
}
