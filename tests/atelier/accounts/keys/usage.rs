//! What a key was used for: counted, written in batches, never in anybody's way (V31, sec.K4).

use atelier_commands::key_usage::KeyUsage;
use atelier_commands::reconciler::reconcile;
use atelier_domain::Credits;
use atelier_vault::credential_rows::delete_account;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{id_of, picture};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const USAGE: &str = "query($days: Int!) { me { apiKeys { edges { node { id usage(days: $days) { total { requests credits byStatus { status requests } } \
    byDay { date requests credits byStatus { status requests } } lastUsedAt } } } } } }";

async fn flush(studio: &TestStudio) {
    let write = &studio.node.studio.write;
    write.usage.flush(&write.pool).await.expect("it is written");
}

async fn usage(studio: &TestStudio, person: &Person, id: &str, days: u32) -> Value {
    let list = studio.graphql(Some(&person.token), USAGE, json!({ "days": days })).await;
    let edges = list["me"]["apiKeys"]["edges"].as_array().expect("edges").clone();
    let node = edges.into_iter().map(|edge| edge["node"].clone()).find(|node| node["id"] == json!(id));
    node.expect("it is listed")["usage"].take()
}

async fn rows(studio: &TestStudio, table: &str) -> i64 {
    let count = format!("select count(*) from credentials.{table}");
    sqlx::query_scalar(&count).fetch_one(&studio.database.pool).await.expect("rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn v31_requests_by_day_and_status_credits_and_the_last_use_of_each_key() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (id, key) = studio.api_key(&ada).await;
    let (idle, _) = studio.api_key(&ada).await;
    let before = studio.node.studio.write.now();
    let calls = join_all((0..40).map(|_| studio.get("/v1/models", Some(&key)))).await;
    assert!(calls.iter().all(|answer| answer.status.as_u16() == 200));
    assert_eq!(studio.get("/v1/generations/nonsense", Some(&key)).await.status.as_u16(), 404);
    assert_eq!(studio.post("/v1/generate", &key, &picture()).await.status.as_u16(), 200);
    assert_eq!(studio.get("/v1/models", Some("Bearer wrong")).await.status.as_u16(), 401, "nobody's");
    studio.drain().await;
    flush(&studio).await;
    flush(&studio).await;
    let seen = usage(&studio, &ada, &id, 2).await;
    let by_status = json!([{ "status": 200, "requests": 41 }, { "status": 404, "requests": 1 }]);
    assert_eq!(seen["total"], json!({ "requests": 42, "credits": 100, "byStatus": by_status }));
    let sum: i64 = seen["byDay"].as_array().expect("days").iter().filter_map(|day| day["requests"].as_i64()).sum();
    assert_eq!(sum, 42);
    let last: DateTime<Utc> = seen["lastUsedAt"].as_str().expect("used").parse().expect("an instant");
    assert!(last >= before && last <= studio.node.studio.write.now());
    let nothing = json!({ "total": { "requests": 0, "credits": 0, "byStatus": [] }, "byDay": [], "lastUsedAt": null });
    assert_eq!(usage(&studio, &ada, &idle, 400).await, nothing);
    // An older day is beyond one day's view, and the last use of all is not.
    sqlx::query("update credentials.api_key_usage set day = day - 3")
        .execute(&studio.database.pool)
        .await
        .expect("rows");
    let older = usage(&studio, &ada, &id, 1).await;
    assert_eq!((&older["total"]["requests"], &older["lastUsedAt"]), (&json!(0), &seen["lastUsedAt"]));
    for days in [0, 401] {
        let answer = studio.graphql_raw(Some(&ada.token), USAGE, json!({ "days": days })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], json!("BAD_INPUT"), "{days}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_v31_what_cannot_be_written_fails_no_request_and_is_written_later() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (id, key) = studio.api_key(&ada).await;
    studio.as_superuser("alter table credentials.api_key_usage rename to elsewhere").await;
    for _ in 0..3 {
        assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200);
    }
    let write = &studio.node.studio.write;
    assert!(write.usage.flush(&write.pool).await.is_err());
    studio.as_superuser("alter table credentials.elsewhere rename to api_key_usage").await;
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200);
    flush(&studio).await;
    assert_eq!(usage(&studio, &ada, &id, 2).await["total"]["requests"], json!(4));
    // And a node that stops in order loses nothing.
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200);
    let TestStudio { node, database, .. } = studio;
    assert!(node.stop().await);
    let written: i64 = sqlx::query_scalar("select sum(requests)::bigint from credentials.api_key_usage")
        .fetch_one(&database.pool)
        .await
        .expect("rows");
    assert_eq!(written, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn v31_every_batch_is_added_and_one_that_comes_late_does_not_move_the_last_use_back() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (id, _) = studio.api_key(&ada).await;
    let (key, account, pool) = (id_of(&id), studio.account(&ada).await, &studio.database.pool);
    let noon = DateTime::from_timestamp(1_699_963_200, 0).expect("an instant");
    // Each batch is another node's; the third node was held up.
    for seconds in [0, 5, 3] {
        let (node, at) = (KeyUsage::default(), noon + TimeDelta::seconds(seconds));
        node.request(key, account, 200, at);
        node.paid(key, account, Credits::new(100), at);
        node.flush(pool).await.expect("it is written");
    }
    let read = KeyUsage::read(pool, &[key], noon.date_naive()).await.expect("rows");
    let (last, days) = (read[&key].last_used_at, &read[&key].days);
    assert_eq!(last, Some(noon + TimeDelta::seconds(5)));
    assert_eq!((days.len(), days[0].credits, &days[0].by_status[..]), (1, 300, &[(200, 3)][..]));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v31_old_days_go_and_an_account_takes_its_own_with_it() {
    let policy = atelier_commands::api_policy::ApiPolicy {
        jobs_a_day: atelier_commands::api_policy::PerPlan { free: Some(9), pro: None },
        ..atelier_commands::api_policy::ApiPolicy::without_limits()
    };
    let studio = TestStudio::with(policy).await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (id, hers) = studio.api_key(&ada).await;
    let (_, his) = studio.api_key(&ben).await;
    for key in [&hers, &his] {
        assert_eq!(studio.post("/v1/generate", key, &picture()).await.status.as_u16(), 200);
    }
    studio.drain().await;
    flush(&studio).await;
    assert_eq!((rows(&studio, "api_key_usage").await, rows(&studio, "api_key_places").await), (4, 2));
    let pool = &studio.database.pool;
    let aged = "update credentials.api_key_usage set day = day - 401 where status = 0";
    sqlx::query(aged).execute(pool).await.expect("rows");
    reconcile(&studio.node.studio.write).await.expect("a round");
    assert_eq!(rows(&studio, "api_key_usage").await, 2, "400 days are kept");
    // Another use of hers waits in memory while the account goes.
    assert_eq!(studio.get("/v1/models", Some(&hers)).await.status.as_u16(), 200);
    let account = studio.account(&ada).await;
    delete_account(pool, account).await.expect("it is deleted");
    flush(&studio).await;
    let today = studio.node.studio.write.now().date_naive();
    let read = KeyUsage::read(pool, &[id_of(&id)], today - chrono::Days::new(500)).await.expect("rows");
    assert!(read.values().all(|usage| usage.days.is_empty()), "nothing comes back: {read:?}");
    assert_eq!((rows(&studio, "api_key_usage").await, rows(&studio, "api_key_places").await), (1, 1), "his are his");
    studio.stop().await;
}
