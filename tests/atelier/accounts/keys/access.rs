//! Who may have keys here, which scopes there are, and that a key that ended is nobody's on every node (V27, V29, C14, B06, sec.K3).

use atelier_commands::api_policy::{ApiAccess, ApiPolicy};
use atelier_commands::use_cases::AssignPlan;
use atelier_domain::account::KeyScope;
use atelier_domain::policy::plan::Plan;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{CREATE, REVOKE, ROTATE, id_of, key_of, refusal};
use crate::harness::TestStudio;
use crate::harness::studio::{Answer, Person};

const ACCESS: &str = "{ me { apiAccess { enabled reason scopes } } }";

async fn plan(studio: &TestStudio, person: &Person, plan: Plan) {
    let account = studio.account(person).await;
    let assigned = AssignPlan { account, plan }.run(&studio.node.studio.write, &studio.operator()).await;
    assigned.expect("a plan");
    studio.drain().await;
}

async fn access(studio: &TestStudio, person: &Person) -> Value {
    studio.graphql(Some(&person.token), ACCESS, json!({})).await["me"]["apiAccess"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn v27_c14_access_is_the_plan_s_and_keys_stop_when_it_goes() {
    let studio = TestStudio::with(ApiPolicy { access: ApiAccess::Paid, ..ApiPolicy::without_limits() }).await;
    let ada = studio.newcomer("ada").await;
    let shown = access(&studio, &ada).await;
    assert_eq!((&shown["enabled"], &shown["reason"]), (&json!(false), &json!("plan_required")));
    assert_eq!(
        refusal(&studio, &ada, CREATE, json!({ "label": "k" })).await.0,
        "PLAN_REQUIRED",
        "refused, not only hidden"
    );
    plan(&studio, &ada, Plan::Pro).await;
    assert_eq!(access(&studio, &ada).await["enabled"], json!(true));
    let (id, key) = key_of(&studio, &ada, json!({ "label": "k" })).await;
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200);
    plan(&studio, &ada, Plan::Free).await;
    let stopped = studio.get("/v1/models", Some(&key)).await;
    assert_eq!((stopped.status.as_u16(), &stopped.json()["error"]), (403, &json!("plan_required")));
    assert_eq!(refusal(&studio, &ada, ROTATE, json!({ "id": id })).await.0, "PLAN_REQUIRED");
    studio.mutate(Some(&ada.token), REVOKE, json!({ "id": id })).await;
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 401, "it can still be revoked");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v27_v29_a_deployment_without_an_api_or_with_fewer_scopes() {
    let off = TestStudio::with(ApiPolicy { access: ApiAccess::Off, ..ApiPolicy::without_limits() }).await;
    let ada = off.newcomer("ada").await;
    plan(&off, &ada, Plan::Pro).await;
    assert_eq!(access(&off, &ada).await["reason"], json!("forbidden"));
    assert_eq!(refusal(&off, &ada, CREATE, json!({ "label": "k" })).await.0, "FORBIDDEN");
    off.stop().await;
    let scopes = vec![KeyScope::ModelsRead, KeyScope::Generate];
    let few = TestStudio::with(ApiPolicy { scopes, ..ApiPolicy::without_limits() }).await;
    let ben = few.newcomer("ben").await;
    assert_eq!(access(&few, &ben).await["scopes"], json!(["models:read", "generate"]));
    let refused = refusal(&few, &ben, CREATE, json!({ "label": "k", "scopes": ["account:read"] })).await;
    assert_eq!(refused, ("INVALID_FIELD".to_owned(), "scopes.0".to_owned()));
    let (id, key) = key_of(&few, &ben, json!({ "label": "everything on offer" })).await;
    assert_eq!(few.get("/v1/models", Some(&key)).await.status.as_u16(), 200);
    // Made while the scope was still on offer: it does nothing any more.
    let wider = "update credentials.api_keys set scopes = scopes || '{account:read}' where key_id = $1";
    sqlx::query(wider).bind(id_of(&id).0).execute(&few.database.pool).await.expect("rows");
    let missing = few.get("/v1/credits", Some(&key)).await;
    assert_eq!((missing.status.as_u16(), &missing.json()["error"]), (403, &json!("scope_missing")));
    few.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_b06_after_a_revocation_a_thousand_calls_on_two_nodes_are_all_401() {
    let studio =
        TestStudio::with(ApiPolicy { failures: ApiPolicy::default().failures, ..ApiPolicy::without_limits() }).await;
    let another = crate::crash::another_node(&studio, &studio.database.url).await;
    let ada = studio.newcomer("ada").await;
    let (id, key) = studio.api_key(&ada).await;
    let there = async || {
        let sent = studio.client().get(format!("http://{}/v1/models", another.address)).bearer_auth(&key).send().await;
        Answer::of(sent.expect("the node answers")).await
    };
    assert_eq!(studio.get("/v1/models", Some(&key)).await.status.as_u16(), 200);
    assert_eq!(there().await.status.as_u16(), 200);
    studio.mutate(Some(&ada.token), REVOKE, json!({ "id": id })).await;
    // A hundred at a time: what waits in the client is no call yet.
    let mut refused = 0;
    for _ in 0..5 {
        let (here, there) = tokio::join!(
            join_all((0..100).map(|_| studio.get("/v1/models", Some(&key)))),
            join_all((0..100).map(|_| there()))
        );
        let same = |answer: &&Answer| answer.status.as_u16() == 401 && answer.text.contains("\"invalid_api_key\"");
        refused += here.iter().chain(&there).filter(same).count();
    }
    assert_eq!(refused, 1_000);
    assert!(another.stop().await);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b08_every_post_says_that_its_body_is_json() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    for path in ["/v1/generate", "/v1/generations", "/v1/generations/gen_00000000000000000000000000000000/cancel"] {
        let url = format!("{}{path}", studio.url);
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            let mut request = studio.client().post(&url).bearer_auth(&key).body("{}");
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            let answer = Answer::of(request.send().await.expect("the node answers")).await;
            let error = answer.json();
            assert_eq!(
                (answer.status.as_u16(), &error["error"]),
                (415, &json!("unsupported_media_type")),
                "{path} {kind:?}"
            );
        }
    }
    studio.stop().await;
}
