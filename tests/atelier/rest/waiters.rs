//! Who waits for a job that is withdrawn or removed is answered at once and rightly, on whichever node: and what a list and a rehearsal say.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{balance, key_of, picture, wire};
use crate::crash::another_node;
use crate::harness::TestStudio;
use crate::harness::process::until;
use crate::harness::studio::Answer;

/// Far less than the wait that is asked for: whoever is not told waits it out.
const PATIENCE: Duration = Duration::from_secs(30);

/// From now on nothing is charged and nothing given back, as when the process manager has stopped.
async fn stop_charging(studio: &TestStudio) {
    let stop = "update checkpoints set state = 'stopped', error = 'held by a test' where name = 'GenerationCharge'";
    studio.as_superuser(stop).await;
}

async fn the_job(studio: &TestStudio, key: &str, status: &str) -> String {
    until("the job", async || {
        let listed = studio.get("/v1/generations", Some(key)).await.json();
        let job = &listed["generations"][0];
        (job["status"] == json!(status)).then(|| job["request_id"].as_str().expect("an id").to_owned())
    })
    .await
}

/// Two copies of one request that wait for a minute, one at each node, and what is done meanwhile.
async fn both_told(studio: &TestStudio, key: &str, meanwhile: impl Future<Output = ()>) -> Vec<Answer> {
    let node = another_node(studio, &studio.database.url).await;
    let ask = async |url: String| {
        let request = studio.client().post(format!("{url}/v1/generate")).bearer_auth(key).json(&picture());
        let request = request.header("prefer", "wait=60").header("idempotency-key", "one");
        Answer::of(request.send().await.expect("the node answers")).await
    };
    let other = format!("http://{}", node.address);
    let told = timeout(PATIENCE, async { tokio::join!(ask(studio.url.clone()), ask(other), meanwhile) }).await;
    let (one, two, ()) = told.expect("both are told at once");
    assert!(node.stop().await, "everything that was begun ends in time");
    vec![one, two]
}

#[tokio::test(flavor = "multi_thread")]
async fn u13_whoever_waits_for_a_job_that_is_withdrawn_is_told_before_its_credits_are_back() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    studio.hold_renders().await;
    let told = both_told(&studio, &key, async {
        let id = the_job(&studio, &key, "queued").await;
        stop_charging(&studio).await;
        let cancel = "mutation($id: ID!) { cancelGeneration(input: {id: $id}) { userErrors { code } } }";
        studio.mutate(Some(&person.token), cancel, json!({ "id": id })).await;
    })
    .await;
    for answer in told {
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (409, &json!("cancelled")), "{}", answer.text);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u06_whoever_waits_for_a_job_that_is_removed_is_told_that_it_is_gone() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    studio.hold_renders().await;
    let told = both_told(&studio, &key, async {
        the_job(&studio, &key, "queued").await;
        // Delivered, and never paid: so they go on waiting.
        until("its work", async || {
            let waits = "select 1 from process_work where lane = 'render'";
            sqlx::query_scalar::<_, i32>(waits).fetch_optional(&studio.database.pool).await.expect("the list answers")
        })
        .await;
        stop_charging(&studio).await;
        studio.release_renders().await;
        let id = the_job(&studio, &key, "succeeded").await;
        let delete = "mutation($id: ID!) { deleteGeneration(input: {id: $id}) { deletedId userErrors { code } } }";
        studio.mutate(Some(&person.token), delete, json!({ "id": id })).await;
    })
    .await;
    for answer in told {
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (410, &json!("gone")), "{}", answer.text);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_jobs_is_filtered_by_their_state() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let delivered = studio.post("/v1/generate", &key, &picture()).await.json()["request_id"].clone();
    studio.hold_renders().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let accepted = studio.post_with("/v1/generate", &key, &picture(), &[("prefer", "wait=0")]).await;
        waiting.push(accepted.json()["request_id"].clone());
    }
    let withdrawn = waiting.remove(1);
    let cancel = format!("/v1/generations/{}/cancel", withdrawn.as_str().expect("an id"));
    assert_eq!(studio.post(&cancel, &key, &json!({})).await.status.as_u16(), 200);
    studio.drain().await;
    waiting.reverse();
    let listed = async |query: &str| -> Vec<Value> {
        let page = studio.get(&format!("/v1/generations?{query}"), Some(&key)).await.json();
        page["generations"].as_array().expect("a list").iter().map(|job| job["request_id"].clone()).collect()
    };
    assert_eq!(listed("status=queued").await, waiting);
    assert_eq!(listed("status=cancelled").await, [withdrawn]);
    assert_eq!(listed("status=succeeded").await, [delivered]);
    assert_eq!(listed("status=running").await, Vec::<Value>::new());
    assert_eq!(listed("status=failed").await, Vec::<Value>::new());
    let page = studio.get("/v1/generations?status=queued&limit=1", Some(&key)).await.json();
    let next = page["next_cursor"].as_str().expect("one more");
    assert_eq!(listed(&format!("status=queued&limit=1&cursor={next}")).await, waiting[1..]);
    for wrong in ["status=", "status=QUEUED", "status=new", "status=abandoned", "status=x"] {
        let refused = studio.get(&format!("/v1/generations?{wrong}"), Some(&key)).await;
        let said = refused.json();
        let told = (refused.status.as_u16(), &said["error"], &said["field"]);
        assert_eq!(told, (400, &json!("invalid_field"), &json!("status")), "{wrong}: {said}");
    }
    // Given twice it is wrong, and the error is about that one; and every wrong one is named.
    for (query, fields) in [
        ("status=queued&status=queued", &["status"][..]),
        ("status=queued&status=running&limit=1", &["status"]),
        ("limit=1&limit=1", &["limit"]),
        ("cursor=a&cursor=b", &["cursor"]),
        ("limit=101", &["limit"]),
        ("limit=-1", &["limit"]),
        ("limit=", &["limit"]),
        ("status=x&limit=x&cursor=a&cursor=b", &["limit", "status", "cursor"]),
    ] {
        let refused = studio.get(&format!("/v1/generations?{query}"), Some(&key)).await;
        let said = refused.json();
        let named: Vec<&str> =
            said["errors"].as_array().expect("a list").iter().filter_map(|error| error["field"].as_str()).collect();
        assert_eq!((refused.status.as_u16(), named), (400, fields.to_vec()), "{query}: {said}");
    }
    assert_eq!(listed("status=queued&nothing=1&nothing=2").await.len(), 2, "what is unknown is ignored");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_refused_where_the_real_request_would_be_and_writes_nothing() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    let (_, capped) = key_of(&studio, &person, json!({ "label": "capped", "totalCap": 50 })).await;
    let (_, testing) = key_of(&studio, &person, json!({ "label": "testing", "environment": "TEST" })).await;
    let (mut dear, mut private, mut tested) = (picture(), picture(), picture());
    (dear["model"], private["publish"]) = (json!("nano-banana-pro"), json!(false));
    (tested["model"], tested["num_images"]) = (json!("nano-banana-pro"), json!(4));
    let mut dearest = dear.clone();
    dearest["max_credits"] = json!(1);
    studio.drain().await;
    let head = studio.head().await;
    let cases = [
        (&key, &picture(), 200, Value::Null),
        (&key, &dear, 402, json!("insufficient_credits")),
        (&key, &dearest, 402, json!("max_credits_exceeded")),
        (&key, &private, 403, json!("plan_required")),
        (&capped, &picture(), 402, json!("key_budget_exceeded")),
        // Filled up each day, before the first request as well.
        (&testing, &tested, 200, Value::Null),
    ];
    for (key, body, status, error) in &cases {
        let dry = studio.post("/v1/generate?dry_run=true", key, body).await;
        assert_eq!((dry.status.as_u16(), &dry.json()["error"]), (*status, error), "{body}: {}", dry.text);
    }
    studio.drain().await;
    assert_eq!(studio.head().await, head, "nothing was written");
    // And so it is.
    for (number, (key, body, status, error)) in cases.iter().enumerate() {
        let real = format!("real-{number}");
        let real = studio.post_with("/v1/generate", key, body, &[("idempotency-key", real.as_str())]).await;
        assert_eq!((real.status.as_u16(), &real.json()["error"]), (*status, error), "{body}: {}", real.text);
    }
    studio.drain().await;
    assert_eq!(balance(&studio, &key).await, (400, 0));
    // The repeat of a request that was paid is no refusal, whatever is left.
    let mut four = picture();
    four["num_images"] = json!(4);
    let spent = studio.post("/v1/generate", &key, &four).await;
    assert_eq!(spent.status.as_u16(), 200, "{}", spent.text);
    let bearer = format!("Bearer {key}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "real-0")];
    let again = wire::call(&studio, "POST /v1/generate?dry_run=true", &headers, &picture().to_string()).await;
    assert_eq!(again.status, 200, "{again:?}");
    let poor = studio.post("/v1/generate?dry_run=true", &key, &picture()).await;
    assert_eq!(poor.status.as_u16(), 402);
    let mut changed = picture();
    changed["prompt"] = json!("another");
    let clash = wire::call(&studio, "POST /v1/generate?dry_run=true", &headers, &changed.to_string()).await;
    assert_eq!((clash.status, clash.error()), (409, "idempotency_conflict".to_owned()));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_a_dry_run_of_an_account_without_a_proven_address_is_refused() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&person).await;
    use atelier_commands::command_path::Target;
    use atelier_domain::account::{Account, AccountCommand, StaffCommand, StaffOrder};
    use atelier_domain::text::{Email, StaffReason};
    let account = studio.account(&person).await;
    let command = AccountCommand::ByStaff {
        order: StaffOrder { staff: None, reason: StaffReason::parse("a new address").expect("a reason") },
        command: StaffCommand::ChangeEmail { unchanged: false, email: Email::parse("else@example.com").expect("one") },
    };
    let (target, operator) = (Target { id: account.to_string(), subject: account }, studio.operator());
    let path = &studio.node.studio.write.path;
    path.execute::<Account>(&target, &operator, None, |_| command.clone()).await.expect("it is done");
    for line in ["/v1/generate?dry_run=true", "/v1/generate"] {
        let refused = studio.post(line, &key, &picture()).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (403, &json!("email_not_verified")), "{line}");
    }
    studio.stop().await;
}
