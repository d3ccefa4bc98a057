//! Positions: every mutation's answer lets its caller read what it wrote, and what cannot be read yet says so (U44, L29, G13).

use atelier_projections::{PositionToken, models};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{fault, request};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const ME: &str =
    "query($position: String) { me(minPosition: $position) { position profile { bio } credits { held position } } }";

#[tokio::test(flavor = "multi_thread")]
async fn g13_ones_own_write_is_always_read_at_its_position() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let update = "mutation($bio: String!) { updateProfile(input: {bio: $bio}) { me { profile { bio } } userErrors { code } position } }";
    for round in 0..50 {
        let bio = format!("round {round}");
        let changed = studio.mutate(Some(&ada.token), update, json!({ "bio": bio })).await;
        assert_eq!(changed["me"]["profile"]["bio"], json!(bio), "in the mutation's own answer");
        let shown = studio.graphql(Some(&ada.token), ME, json!({ "position": changed["position"] })).await["me"].take();
        assert_eq!(shown["profile"]["bio"], json!(bio));
        assert_eq!(shown["position"], shown["credits"]["position"], "A01: one screen, one position");
    }
    // Mutations that answer without waiting are read all the same.
    let key = "mutation { createApiKey(input: {label: \"k\"}) { id userErrors { code } position } }";
    let keys =
        "query($position: String) { me(minPosition: $position) { apiKeys(first: 100) { edges { node { id } } } } }";
    for _ in 0..20 {
        let made = studio.mutate(Some(&ada.token), key, json!({})).await;
        let shown = studio.graphql(Some(&ada.token), keys, json!({ "position": made["position"] })).await;
        assert!(super::ids(&shown["me"]["apiKeys"]).contains(&made["id"].as_str().expect("an id").to_owned()));
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l29_the_position_of_a_paid_job_includes_its_capture() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let credits = "query($position: String) { me(minPosition: $position) { credits { available held } } }";
    for paid in 1..=5 {
        let body = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 });
        let made = studio.post("/v1/generate", &key, &body).await;
        let position = made.headers["atelier-position"].to_str().expect("ASCII");
        let shown = studio.graphql(Some(&ada.token), credits, json!({ "position": position })).await;
        assert_eq!(shown["me"]["credits"], json!({ "available": 500 - 100 * paid, "held": 0 }));
        assert_eq!(made.headers["x-credits-remaining"], (500 - 100 * paid).to_string());
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_log_or_of_the_future_is_unknown() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let head = studio.head().await;
    let now = studio.token(head);
    let foreign = PositionToken { branch: None, number: 1 }.encode(Uuid::from_u128(1));
    let future = studio.token(head + 1);
    let far = studio.token(i64::MAX);
    let negative = studio.token(-1);
    let queries = [
        ME,
        "query($position: String) { explore(minPosition: $position) { position } }",
        "query($position: String) { creator(username: \"ada\", minPosition: $position) { id } }",
        "query($position: String) { generation(id: \"gen_00000000000000000000000000000000\", minPosition: $position) { id } }",
    ];
    for query in queries {
        studio.graphql(Some(&ada.token), query, json!({ "position": now })).await;
        for unknown in [&foreign, &future, &far, &negative, "", "1", "garbage"] {
            let answer = studio.graphql_raw(Some(&ada.token), query, json!({ "position": unknown })).await;
            assert_eq!(fault(&answer), "POSITION_UNKNOWN", "{unknown}: {query}");
        }
    }
    studio.stop().await;
}

async fn set_state(studio: &TestStudio, name: &str, state: &str) {
    let set = sqlx::query("update checkpoints set state = $2 where name = $1").bind(name).bind(state);
    assert_eq!(set.execute(&studio.database.pool).await.expect("a checkpoint is set").rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_stands_still_says_stale_read_with_where_it_is() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let job = request(&studio, &ada, "before it stopped").await;
    studio.drain().await;
    let before = studio.graphql(Some(&ada.token), ME, json!({})).await["me"]["position"].clone();
    set_state(&studio, models::profile::NAME, "stopped").await;
    let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { userErrors { code } position } }";
    let input = json!({ "input": { "email": ada.email, "password": PASSWORD } });
    let position = studio.mutate(None, sign_in, input).await["position"].clone();
    let answer = studio.graphql_raw(Some(&ada.token), ME, json!({ "position": position })).await;
    assert_eq!((fault(&answer), &answer["errors"][0]["extensions"]["currentPosition"]), ("STALE_READ", &before));
    let me = &answer["data"]["me"];
    assert_eq!(
        (&me["profile"], &me["credits"]["held"]),
        (&Value::Null, &json!(0)),
        "what can be read is there: {answer}"
    );
    // Without a position the old state is shown, and honestly dated.
    let shown = studio.graphql(Some(&ada.token), ME, json!({})).await["me"].take();
    assert_eq!(shown["position"], before);
    // Read models that do not stand still are not held up by the one that does.
    let path = format!("/v1/generations/{job}");
    let (_, key) = studio.api_key(&ada).await;
    assert_eq!(studio.get(&path, Some(&key)).await.status.as_u16(), 200);
    let health: Value = studio.get("/health/ready", None).await.json();
    assert_eq!(
        (&health["status"], &health["stopped_projections"][0]["projection"]),
        (&json!("degraded"), &json!("Profile"))
    );
    set_state(&studio, models::profile::NAME, "running").await;
    studio.drain().await;
    let shown = studio.graphql(Some(&ada.token), ME, json!({ "position": position })).await["me"].take();
    assert!(shown["position"] != before, "it goes on where it stopped");
    studio.stop().await;
}
