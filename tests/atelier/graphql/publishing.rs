//! Publishing to Explore: locked on a free plan, and decided when a job is accepted (A23-A26, U08, U10).

use atelier_commands::use_cases::AssignPlan;
use atelier_domain::policy::plan::Plan;
use serde_json::{Value, json};

use super::{ids, refusal, request};
use crate::harness::TestStudio;
use crate::harness::studio::Person;

const SWITCH: &str = "mutation($on: Boolean!) { setPublishToExplore(input: {publish: $on}) \
    { me { preferences { publish { value locked reason } } } userErrors { code field } position } }";
const PREFERENCE: &str = "{ me { preferences { publish { value locked reason } } } }";

async fn on_plan(studio: &TestStudio, person: &Person, plan: Plan) {
    let account = studio.account(person).await;
    let assigned = AssignPlan { account, plan }.run(&studio.node.studio.write, &studio.operator()).await;
    assigned.expect("a plan is assigned");
    studio.drain().await;
}

async fn feed(studio: &TestStudio) -> Vec<String> {
    ids(&studio.graphql(None, "{ explore { edges { node { id } } } }", json!({})).await["explore"])
}

/// What somebody sees of a job by its id.
async fn seen(studio: &TestStudio, token: Option<&str>, id: &str) -> Value {
    studio.graphql(token, "query($id: ID!) { generation(id: $id) { id published } }", json!({ "id": id })).await["generation"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a24_on_a_free_plan_the_switch_is_locked() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let shown = studio.graphql(Some(&ada.token), PREFERENCE, json!({})).await;
    assert_eq!(
        shown["me"]["preferences"]["publish"],
        json!({ "value": true, "locked": true, "reason": "plan_required" })
    );
    let refused = refusal(&studio, Some(&ada.token), SWITCH, json!({ "on": false })).await;
    assert_eq!(refused.0, "PLAN_REQUIRED");
    studio.mutate(Some(&ada.token), SWITCH, json!({ "on": true })).await;
    let private = "mutation { requestGeneration(input: {prompt: \"x\", model: \"z-image-turbo\", publish: false}) \
        { generation { id } userErrors { code field } } }";
    assert_eq!(
        refusal(&studio, Some(&ada.token), private, json!({})).await,
        ("PLAN_REQUIRED".to_owned(), "publish".to_owned())
    );
    studio.drain().await;
    assert_eq!(studio.events_named("PublishPreferenceChanged").await + studio.events_named("HoldPlaced").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_u08_u10_the_rule_at_acceptance_decides() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    on_plan(&studio, &ada, Plan::Pro).await;
    let shown = studio.graphql(Some(&ada.token), PREFERENCE, json!({})).await;
    assert_eq!(shown["me"]["preferences"]["publish"], json!({ "value": true, "locked": false, "reason": null }));
    let past = request(&studio, &ada, "before").await;
    studio.drain().await;
    // Accepted, then switched off before it is drawn; then one accepted private, switched on before it is drawn.
    studio.hold_renders().await;
    let on_the_way = request(&studio, &ada, "accepted while it was on").await;
    let off = studio.mutate(Some(&ada.token), SWITCH, json!({ "on": false })).await;
    assert_eq!(off["me"]["preferences"]["publish"]["value"], json!(false), "A26: effective immediately");
    let private = request(&studio, &ada, "accepted while it was off").await;
    studio.mutate(Some(&ada.token), SWITCH, json!({ "on": true })).await;
    let resumed = request(&studio, &ada, "accepted when it was on again").await;
    studio.release_renders().await;
    studio.drain().await;
    assert_eq!(feed(&studio).await.len(), 3);
    for (id, public) in [(&past, true), (&on_the_way, true), (&private, false), (&resumed, true)] {
        assert_eq!(feed(&studio).await.contains(id), public, "{id}");
        let to_owner = seen(&studio, Some(&ada.token), id).await;
        assert_eq!(to_owner, json!({ "id": id, "published": public }), "the owner sees it");
        for stranger in [None, Some(ben.token.as_str())] {
            let expected = if public { json!({ "id": id, "published": true }) } else { Value::Null };
            assert_eq!(seen(&studio, stranger, id).await, expected, "{id}");
        }
    }
    let published =
        studio.graphql(None, "{ creator(username: \"ada\") { published { edges { node { id } } } } }", json!({})).await;
    assert_eq!(ids(&published["creator"]["published"]), feed(&studio).await, "A20: the same predicate");
    let own = studio.graphql(Some(&ada.token), "{ me { creations { edges { node { id } } } } }", json!({})).await;
    assert_eq!(ids(&own["me"]["creations"]), [resumed, private, on_the_way, past]);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u09_when_premium_ends_new_work_is_public_and_old_private_work_stays_private() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    on_plan(&studio, &ada, Plan::Pro).await;
    studio.mutate(Some(&ada.token), SWITCH, json!({ "on": false })).await;
    let private = request(&studio, &ada, "premium").await;
    studio.drain().await;
    on_plan(&studio, &ada, Plan::Free).await;
    let public = request(&studio, &ada, "free again").await;
    studio.drain().await;
    assert_eq!(feed(&studio).await, [public]);
    assert_eq!(seen(&studio, None, &private).await, Value::Null, "never made public afterwards");
    studio.stop().await;
}
