//! The public profile, on and off: off hides who made what, and hides nothing that was made (V05, C3).

use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const SWITCH: &str = "mutation($public: Boolean!) { setPublicProfile(input: {public: $public}) \
    { me { profile { public } } userErrors { code } position } }";
const SEEN: &str = "query($id: ID!, $job: ID!) { \
    creator(username: \"ada\") { username } \
    node(id: $id) { id } \
    generation(id: $job) { id creator { username } } \
    explore { edges { node { id creator { username } } } } }";

async fn seen(studio: &TestStudio, viewer: Option<&Person>, id: &str, job: &str) -> Value {
    let token = viewer.map(|person| person.token.as_str());
    studio.graphql(token, SEEN, json!({ "id": id, "job": job })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn v05_c3_off_hides_the_creator_from_others_and_leaves_the_work() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let request = "mutation { requestGeneration(input: {prompt: \"older\", model: \"z-image-turbo\", width: 64, height: 64}) \
        { generation { id } userErrors { code } position } }";
    let made = studio.mutate(Some(&ada.token), request, json!({})).await;
    let job = made["generation"]["id"].as_str().expect("a job").to_owned();
    let me = studio.graphql(Some(&ada.token), "{ me { id profile { public } } }", json!({})).await;
    assert_eq!(me["me"]["profile"]["public"], json!(true), "C3: on by default");
    studio.drain().await;
    let creator = studio.graphql(None, "{ creator(username: \"ada\") { id } }", json!({})).await;
    let id = creator["creator"]["id"].as_str().expect("an id").to_owned();
    let shown = json!({ "username": "ada" });
    let open = json!({
        "creator": shown, "node": { "id": id }, "generation": { "id": job, "creator": shown },
        "explore": { "edges": [{ "node": { "id": job, "creator": shown } }] },
    });
    let hidden = json!({
        "creator": null, "node": null, "generation": { "id": job, "creator": null },
        "explore": { "edges": [{ "node": { "id": job, "creator": null } }] },
    });
    for (public, others) in [(true, &open), (false, &hidden), (true, &open)] {
        let switched = studio.mutate(Some(&ada.token), SWITCH, json!({ "public": public })).await;
        assert_eq!(switched["me"]["profile"]["public"], json!(public));
        studio.drain().await;
        assert_eq!(seen(&studio, None, &id, &job).await, *others, "{public}");
        assert_eq!(seen(&studio, Some(&ben), &id, &job).await, *others, "{public}");
        assert_eq!(seen(&studio, Some(&ada), &id, &job).await, open, "its owner sees it still");
    }
    assert_eq!(studio.events_named("PublicProfileChanged").await, 2, "on when it is on changes nothing");
    let anonymous = studio.graphql_raw(None, SWITCH, json!({ "public": false })).await;
    assert_eq!(anonymous["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"));
    studio.stop().await;
}
