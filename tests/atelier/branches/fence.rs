//! Followers that have read what is then lost: the fence lets none of it into the rows.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_batch_in_hand_that_is_lost_before_it_is_folded_is_not_folded() {
    let mut stage = Stage::set().await;
    stage.pays(0).await;
    stage.studio.drain().await;
    let kept = stage.studio.head().await;
    // Not of a pool, whose connections all wait.
    let mut looking = PgConnection::connect(&stage.studio.database.superuser_url).await.expect("it connects");
    let (studio, ada) = (&stage.studio, &stage.ada);
    let database = &studio.database;
    database
        .replace_log(kept, async |holder| {
            // It is durable and acknowledged, and every follower of both nodes waits at its checkpoint with it in hand.
            let update = "mutation { updateProfile(input: {bio: \"lost\"}) { userErrors { code } position } }";
            let changed = tokio::spawn(
                studio
                    .client()
                    .post(format!("{}/graphql", studio.url))
                    .bearer_auth(&ada.token)
                    .json(&json!({ "query": update }))
                    .send(),
            );
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let waiting = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid)) \
                               and query like 'update checkpoints set position%'";
                let waiting: i64 =
                    sqlx::query_scalar(waiting).bind(holder).fetch_one(&mut looking).await.expect("a number");
                let head: i64 = sqlx::query_scalar("select max(position) from events")
                    .fetch_one(&mut looking)
                    .await
                    .expect("a head");
                if waiting >= 2 && head > kept {
                    break;
                }
                assert!(Instant::now() < deadline, "{waiting} followers wait, the head is {head} after {kept}");
                sleep(Duration::from_millis(5)).await;
            }
            changed.abort();
        })
        .await;
    let again = stage.pays(1).await;
    stage.studio.drain().await;
    let bio = stage.studio.graphql(Some(&stage.ada.token), "{ me { profile { bio } } }", json!({})).await;
    assert_ne!(bio["me"]["profile"]["bio"], json!("lost"), "a read model shows what the log does not have");
    assert_eq!(stage.status(0, &again).await.json()["status"], json!("succeeded"));
    assert_eq!(stage.branches().await.len(), 2);
    stage.read_models_are_a_fold_of_the_log().await;
    stage.stop().await;
}
