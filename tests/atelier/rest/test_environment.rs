//! A test key plays with test credits, and nothing of it shows anywhere else (DESIGN 4, INV-11).

use serde_json::{Value, json};

use super::{balance, key_of, picture, wire};
use crate::harness::TestStudio;

const EVERYWHERE: &str = "{ explore { edges { node { id } } } creator(username: \"ada\") { rank published { edges { node { id } } } } \
    me { rank { count } credits { available held } creations { edges { node { id } } } transactions { edges { node { kind } } } } }";

const TEST_SIDE: &str = "{ me { credits(environment: TEST) { available held } creations(environment: TEST) { edges { node { id published } } } \
    transactions(environment: TEST) { edges { node { kind amount } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_test_key_works_and_shows_nowhere_else() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, live) = studio.api_key(&person).await;
    let (_, test) = key_of(&studio, &person, json!({ "label": "test", "environment": "TEST" })).await;
    assert!(test.starts_with("atl_test_"), "3.3");
    let before = studio.graphql(Some(&person.token), EVERYWHERE, json!({})).await;
    let made = studio.post("/v1/generate", &test, &picture()).await;
    assert_eq!(made.status.as_u16(), 200, "{}", made.text);
    let made = made.json();
    assert_eq!(made["credits_used"], json!(100));
    let dear = studio
        .post("/v1/generate", &test, &json!({ "prompt": "x", "model": "nano-banana-pro", "width": 64, "height": 64 }))
        .await;
    assert_eq!(dear.status.as_u16(), 200, "its ledger is filled by itself");
    studio.drain().await;
    assert_eq!(studio.graphql(Some(&person.token), EVERYWHERE, json!({})).await, before, "nothing live has changed");
    assert_eq!(before["explore"]["edges"], json!([]));
    assert_eq!((balance(&studio, &test).await, balance(&studio, &live).await), ((9_100, 0), (500, 0)));
    // It is all there on its own side.
    let shown = studio.graphql(Some(&person.token), TEST_SIDE, json!({})).await["me"].take();
    assert_eq!(shown["credits"], json!({ "available": 9_100, "held": 0 }));
    let jobs = shown["creations"]["edges"].as_array().expect("edges");
    assert_eq!(jobs.len(), 2);
    assert_eq!((&jobs[1]["node"]["id"], &jobs[1]["node"]["published"]), (&made["request_id"], &json!(false)));
    let lines: Vec<&Value> =
        shown["transactions"]["edges"].as_array().expect("edges").iter().map(|edge| &edge["node"]["amount"]).collect();
    assert_eq!(lines, [&json!(-800), &json!(-100), &json!(10_000)]);
    // Neither key sees the other's jobs, and nobody else sees either.
    let path = format!("/v1/generations/{}", made["request_id"].as_str().expect("an id"));
    assert_eq!(studio.get(&path, Some(&test)).await.status.as_u16(), 200);
    assert_eq!(studio.get(&path, Some(&live)).await.status.as_u16(), 404);
    let one = format!("{{ generation(id: {}) {{ id }} }}", made["request_id"]);
    assert_eq!(studio.graphql(None, &one, json!({})).await["generation"], Value::Null);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_11_test_credits_pay_no_live_job_and_are_filled_up_once_a_day() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, live) = studio.api_key(&person).await;
    let (_, test) = key_of(&studio, &person, json!({ "label": "test", "environment": "TEST" })).await;
    studio.hold_renders().await;
    let dear =
        json!({ "prompt": "x", "model": "nano-banana-pro", "num_images": 4, "width": 64, "height": 64 }).to_string();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let authorization = format!("Bearer {test}");
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json"), ("prefer", "wait=0")];
        statuses.push(wire::call(&studio, "POST /v1/generate", &headers, &dear).await.status);
    }
    // 10,000 a day pay three of 3,200. Midnight in between would fill it up once more, and then all four pass.
    assert!(statuses == [202, 202, 202, 402] || studio.events_named("CreditsGranted").await == 3, "{statuses:?}");
    let refused = studio.post("/v1/generate", &live, &json!({ "prompt": "x", "model": "nano-banana-pro" })).await;
    assert_eq!(refused.status.as_u16(), 402, "test credits are no credits");
    studio.stop().await;
}
