//! `node(id)` and what the public side of things leaves out (A18, sec.A1).

use atelier_commands::use_cases::AssignPlan;
use atelier_domain::policy::plan::Plan;
use serde_json::{Value, json};

use super::{refusal, request};
use crate::harness::TestStudio;

const NODE: &str = "query($id: ID!) { node(id: $id) { __typename id } }";

#[tokio::test(flavor = "multi_thread")]
async fn a1_node_shows_what_its_caller_may_see_and_nothing_else() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let account = studio.account(&ada).await;
    let plan = AssignPlan { account, plan: Plan::Pro };
    plan.run(&studio.node.studio.write, &studio.operator()).await.expect("a plan is assigned");
    let published = request(&studio, &ada, "for everybody").await;
    let private = "mutation { requestGeneration(input: {prompt: \"for me\", model: \"z-image-turbo\", width: 64, height: 64, publish: false}) \
        { generation { id } userErrors { code } } }";
    let private = studio.mutate(Some(&ada.token), private, json!({})).await["generation"]["id"]
        .as_str()
        .expect("a job")
        .to_owned();
    studio.hold_renders().await;
    let queued = request(&studio, &ada, "not yet").await;
    let (key, _) = studio.api_key(&ada).await;
    studio.drain().await;
    let mine = studio.graphql(Some(&ada.token), "{ me { id sessions { id } } }", json!({})).await["me"].take();
    let (me, session) = (mine["id"].as_str().expect("an id"), mine["sessions"][0]["id"].as_str().expect("an id"));
    let creator = me.replacen("acc_", "cre_", 1);
    let swapped = published.replacen("gen_", "acc_", 1);
    let generation = Some("Generation");
    let table: [(&str, Option<&str>, Option<&str>); 13] = [
        (&published, generation, generation),
        (&private, generation, None),
        (&queued, generation, None),
        (&creator, Some("Creator"), Some("Creator")),
        (me, Some("Me"), None),
        (session, None, None),
        (&key, None, None),
        (&swapped, None, None),
        ("gen_00000000000000000000000000000000", None, None),
        ("acc_00000000000000000000000000000000", None, None),
        ("garbage", None, None),
        ("", None, None),
        ("gen_'; drop table events; --", None, None),
    ];
    for (id, to_owner, to_others) in table {
        for (token, expected) in [(Some(&ada.token), to_owner), (Some(&ben.token), to_others), (None, to_others)] {
            let shown = studio.graphql(token.map(String::as_str), NODE, json!({ "id": id })).await["node"].take();
            let expected = expected.map_or(Value::Null, |kind| json!({ "__typename": kind, "id": id }));
            assert_eq!(shown, expected, "{id}");
        }
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_what_everybody_sees_leaves_out_what_is_the_owners() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let id = request(&studio, &ada, "for everybody").await;
    studio.drain().await;
    let whole = "query($id: ID!) { generation(id: $id) { id prompt status images { url } published numImages seed price creditsUsed failure endedAt } }";
    let shown = studio.graphql(Some(&ada.token), whole, json!({ "id": id })).await["generation"].take();
    assert_eq!((&shown["price"], &shown["creditsUsed"], &shown["numImages"]), (&json!(100), &json!(100), &json!(1)));
    for token in [None, Some(ben.token.as_str())] {
        let public = studio.graphql(token, whole, json!({ "id": id })).await["generation"].take();
        assert_eq!((&public["prompt"], &public["status"]), (&json!("for everybody"), &json!("SUCCEEDED")));
        for own in ["numImages", "seed", "price", "creditsUsed", "failure", "endedAt"] {
            assert_eq!(public[own], Value::Null, "{own}");
        }
    }
    // The public profile's type has no field for what is personal.
    let fields = studio.graphql(None, "{ __type(name: \"Creator\") { fields { name } } }", json!({})).await;
    let mut names: Vec<&str> = fields["__type"]["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .filter_map(|field| field["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["avatar", "bio", "displayName", "id", "published", "rank", "username"]);
    // A stranger does nothing to it.
    for name in ["cancelGeneration", "deleteGeneration"] {
        let query =
            format!("mutation($id: ID!) {{ {name}(input: {{id: $id}}) {{ userErrors {{ code field }} position }} }}");
        assert_eq!(refusal(&studio, Some(&ben.token), &query, json!({ "id": id })).await.0, "NOT_FOUND", "{name}");
    }
    studio.stop().await;
}
