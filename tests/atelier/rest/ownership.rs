//! Another account's jobs are missing, in the same words as those that never were (sec.A1).

use serde_json::json;

use super::{balance, key_of, picture, wire};
use crate::harness::TestStudio;

#[tokio::test(flavor = "multi_thread")]
async fn a1_a_strangers_job_is_as_missing_as_one_that_never_was() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (_, hers) = studio.api_key(&ada).await;
    let (_, his) = studio.api_key(&ben).await;
    // Her own key of the other environment is a stranger too (DESIGN 4).
    let (_, her_test) = key_of(&studio, &ada, json!({ "label": "test", "environment": "TEST" })).await;
    let delivered = studio.post("/v1/generate", &hers, &picture()).await.json();
    studio.hold_renders().await;
    let queued = studio.post_with("/v1/generate", &hers, &picture(), &[("prefer", "wait=0")]).await.json();
    studio.drain().await;
    let never = "gen_00000000000000000000000000000000";
    let head = studio.head().await;
    for (owner, key) in [("a stranger", &his), ("the other environment", &her_test)] {
        for id in [&delivered["request_id"], &queued["request_id"]].map(|id| id.as_str().expect("an id")) {
            for (method, more) in [("GET", ""), ("POST", "/cancel"), ("DELETE", "")] {
                let theirs = wire::with_key(&studio, &format!("{method} /v1/generations/{id}{more}"), key, "").await;
                let missing =
                    wire::with_key(&studio, &format!("{method} /v1/generations/{never}{more}"), key, "").await;
                assert_eq!((theirs.status, theirs.error()), (404, "not_found".to_owned()), "{method} by {owner}");
                assert_eq!(theirs.timeless(), missing.timeless(), "{method} by {owner}");
            }
        }
        assert_eq!(studio.get("/v1/generations", Some(key)).await.json()["generations"], json!([]), "{owner}");
    }
    studio.drain().await;
    assert_eq!(studio.head().await, head, "nothing happened to them");
    for id in [&delivered["request_id"], &queued["request_id"]].map(|id| id.as_str().expect("an id")) {
        assert_eq!(studio.get(&format!("/v1/generations/{id}"), Some(&hers)).await.status.as_u16(), 200, "the owner");
    }
    assert_eq!(balance(&studio, &hers).await, (300, 100));
    studio.stop().await;
}
