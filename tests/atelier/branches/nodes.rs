//! Two running nodes, and each way in which their database becomes another one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atelier_commands::lost_media;
use atelier_commands::ports::{Generator, RenderError, RenderRequest, Rendered};
use atelier_domain::KeyClass;
use atelier_gateways::StudioDemo;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::stage::{Job, Stage};
use crate::crash::another_node;
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};
use crate::harness::visitor::Visitor;

/// How the database becomes the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The volume is put back: nothing but the events tells.
    Volume,
    /// A dump is restored into a database of the same name.
    Dump,
    /// A dump is restored over it, under live connections.
    Over,
}

/// Two are paid for and stay, two are paid for and are lost, one is paid for afterwards.
async fn comes_back_shorter(way: Way) {
    let mut stage = Stage::set().await;
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("dump");
    let kept = [stage.pays(0).await, stage.pays(1).await];
    stage.studio.drain().await;
    let parted = stage.studio.head().await;
    let copy = if way == Way::Volume {
        let copy = stage.studio.database.copy_volume().await;
        stage.reconnected().await;
        copy
    } else {
        stage.studio.database.dump(&file);
        String::new()
    };
    let lost = [stage.pays(0).await, stage.pays(1).await];
    stage.studio.drain().await;
    let gone = stage.studio.head().await;
    match way {
        Way::Volume => stage.studio.database.put_back(&copy).await,
        Way::Dump => stage.studio.database.restore_anew(&file).await,
        Way::Over => stage.studio.database.restore_over(&file),
    }
    stage.reconnected().await;

    let said = async |stage: &Stage| {
        for node in 0..2 {
            for job in &kept {
                let answer = stage.status(node, job).await;
                assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("succeeded")), "{job:?}");
                assert_eq!(stage.position_code(node, &job.position).await, None, "it is still there: {job:?}");
            }
            for job in &lost {
                assert_eq!(stage.status(node, job).await.status.as_u16(), 404, "node {node} shows what is gone");
                let code = stage.position_code(node, &job.position).await;
                assert_eq!(code.as_deref(), Some("POSITION_UNKNOWN"), "node {node} answers for what is gone");
            }
        }
    };
    said(&stage).await;
    assert_eq!(stage.branches().await, [(1, None), (parted + 1, Some(gone))], "the branch and its loss, exactly");
    // The log goes on, over the numbers that the lost ones had and beyond them.
    let mut after = Vec::new();
    for node in [1, 0, 1] {
        after.push(stage.pays(node).await);
    }
    stage.studio.drain().await;
    assert!(stage.studio.head().await > gone, "the lost numbers are used again");
    said(&stage).await;
    for node in 0..2 {
        for job in &after {
            assert_eq!(stage.status(node, job).await.json()["status"], json!("succeeded"));
            assert_eq!(stage.position_code(node, &job.position).await, None);
        }
        assert_eq!(
            stage.credits(node).await,
            json!({ "available": 0, "held": 0 }),
            "five of five are paid, none twice"
        );
    }
    stage.every_hold_has_ended().await;
    stage.read_models_are_a_fold_of_the_log().await;
    assert_eq!(stage.branches().await.len(), 2, "one loss is one branch, however many nodes saw it");
    // Operators see the loss until they acknowledge it.
    let pool = &stage.studio.database.pool;
    for (status, shown) in [("degraded", 1), ("ready", 0)] {
        for node in &stage.nodes {
            let health = node.get("/health/ready", None).await.json();
            let branches = health["log_branches"].as_array().expect("a list");
            assert_eq!((&health["status"], branches.len()), (&json!(status), shown), "{health}");
            assert!(branches.iter().all(|branch| branch["lost_positions"] == json!(gone - parted)), "{health}");
            let metrics = node.get("/metrics", None).await.text;
            let lost = if shown == 1 { gone - parted } else { 0 };
            assert!(metrics.contains(&format!("\natelier_log_lost_positions {lost}\n")), "{metrics}");
        }
        let acknowledge = "select bool_and(acknowledge_log_branch(branch, 'ada')) from log_branches where ordinal = 2";
        let acknowledged: bool = sqlx::query_scalar(acknowledge).fetch_one(pool).await.expect("it answers");
        assert_eq!(acknowledged, shown == 1, "once");
    }
    // Their files did not fall back: those of the lost are removed once nobody can be at them, and no others.
    let later = stage.studio.at(TimeDelta::hours(2));
    for removed in [lost.len(), 0] {
        assert_eq!(lost_media::sweep(&later).await.expect("the store answers"), removed);
    }
    let picture = async |job: &Job| stage.status(0, job).await.json()["images"][0]["url"].as_str().map(str::to_owned);
    for job in kept.iter().chain(&after) {
        let url = picture(job).await.expect("a link");
        assert_eq!(stage.studio.download(&url).await.0.as_u16(), 200, "what is there has its picture: {job:?}");
    }
    stage.stop().await;
}

/// Draws when it is told to.
struct Paused {
    demo: StudioDemo,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl Generator for Paused {
    async fn render(&self, request: RenderRequest) -> Result<Rendered, RenderError> {
        self.reached.notify_one();
        self.go_on.notified().await;
        self.demo.render(request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_render_whose_job_is_gone_reports_to_nobody() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let paused = Paused { demo: StudioDemo::per_core(), reached: reached.clone(), go_on: go_on.clone() };
    let studio = TestStudio::drawing(Arc::new(paused), Duration::from_secs(30)).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    studio.drain().await;
    let copy = studio.database.copy_volume().await;
    super::stage::answers(&studio.database.pool).await;
    let body = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 });
    let header = [("idempotency-key", "job-1")];
    assert_eq!(studio.post_with("/v1/generations", &key, &body, &header).await.status.as_u16(), 202);
    reached.notified().await;
    studio.database.put_back(&copy).await;
    super::stage::answers(&studio.database.pool).await;
    go_on.notify_one();
    // What was begun is finished.
    let TestStudio { node, database, data, .. } = studio;
    assert!(node.stop().await);
    let outputs: Vec<_> = files(&data.path().join("media"));
    assert_eq!(outputs, [""; 0], "nobody's picture");
    let jobs = "select count(*) from events where aggregate_type = 'Generation' or event_type = 'HoldPlaced'";
    let jobs: i64 = sqlx::query_scalar(jobs).fetch_one(&database.pool).await.expect("the log answers");
    assert_eq!(jobs, 0, "and nothing of it is in the log");
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path.display().to_string()] }).collect()
}

/// A socket that goes on from what is gone is told so, and one from what is there goes on.
async fn resumes(stage: &Stage, position: &str) -> Option<String> {
    let mut socket = Socket::signed_in(&stage.studio.url, &stage.ada.token).await;
    let query = "subscription($after: String) { balanceChanged(after: $after) { available position } }";
    socket.subscribe("1", query, json!({ "after": position })).await;
    match socket.hear().await {
        Heard::Message(message) if message["type"] == json!("error") => {
            Some(message["payload"][0]["extensions"]["code"].as_str().expect("a code").to_owned())
        }
        Heard::Message(message) if message["type"] == json!("next") => None,
        other => panic!("{other:?}"),
    }
}

/// The volume is put back while no node runs: what the last one knew lies beside its keys.
#[tokio::test(flavor = "multi_thread")]
async fn i12_a_volume_that_is_put_back_under_a_stopped_node_is_found_at_its_start() {
    let mut stage = Stage::set().await;
    let kept = stage.pays(0).await;
    stage.studio.drain().await;
    let parted = stage.studio.head().await;
    let copy = stage.studio.database.copy_volume().await;
    stage.reconnected().await;
    let lost = stage.pays(0).await;
    stage.studio.drain().await;
    let gone = stage.studio.head().await;
    let Stage { studio, other, ada, key, told, .. } = stage;
    assert!(other.stop().await);
    let TestStudio { node, database, data, .. } = studio;
    assert!(node.stop().await);
    database.put_back(&copy).await;
    super::stage::answers(&database.pool).await;
    let studio = TestStudio::upgraded(database, data).await;
    let other = another_node(&studio, &studio.database.url).await;
    let nodes = [&studio.url, &format!("http://{}", other.address)].map(|url| Visitor::of(url.clone()));
    let mut stage = Stage { studio, other, nodes, ada, key, told };
    assert_eq!(stage.branches().await, [(1, None), (parted + 1, Some(gone))], "before anybody is served");
    let after = stage.pays(1).await;
    stage.pays(0).await;
    stage.studio.drain().await;
    for node in 0..2 {
        assert_eq!(stage.position_code(node, &lost.position).await.as_deref(), Some("POSITION_UNKNOWN"));
        assert_eq!(stage.position_code(node, &kept.position).await, None);
        assert_eq!(stage.status(node, &lost).await.status.as_u16(), 404);
    }
    assert_eq!(resumes(&stage, &lost.position).await.as_deref(), Some("POSITION_UNKNOWN"));
    assert_eq!(resumes(&stage, &after.position).await, None);
    assert_eq!(stage.branches().await.len(), 2);
    stage.stop().await;
}

/// The erasure journal did not fall back: whoever was erased since is not served again.
#[tokio::test(flavor = "multi_thread")]
async fn i12_an_account_that_was_erased_is_not_served_by_a_log_that_does_not_know() {
    let stage = Stage::set().await;
    let bob = stage.studio.newcomer("bob").await;
    stage.studio.drain().await;
    let account = stage.studio.account(&bob).await;
    let copy = stage.studio.database.copy_volume().await;
    stage.reconnected().await;
    let write = &stage.studio.node.studio.write;
    write.vault.shred(account, KeyClass::Profile).await.expect("the key goes, and the journal says so");
    // Something that the log does not have afterwards, so that it is another one.
    stage.studio.newcomer("eve").await;
    stage.studio.database.put_back(&copy).await;
    stage.reconnected().await;
    stage.studio.newcomer("dan").await;
    for node in 0..2 {
        let asked = json!({ "query": "{ me { id } }" });
        let request = stage.nodes[node].request("POST", "/graphql").bearer_auth(&bob.token).json(&asked);
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"), "{answer}");
    }
    stage.studio.drain().await;
    assert_eq!(stage.studio.events_named("AccountErased").await, 1, "it is erased again");
    // The keys of eve, whose account is gone, are kept and open nothing.
    let keys = write.vault.store().accounts().await.expect("the folder can be read");
    let orphans =
        "select count(*) from unnest($1::text[]) k where not exists (select from events where aggregate_id = k)";
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let orphans: i64 = sqlx::query_scalar(orphans).bind(keys).fetch_one(&write.pool).await.expect("the log answers");
    assert_eq!(orphans, 1);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_volume_that_is_put_back_under_two_nodes() {
    comes_back_shorter(Way::Volume).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_dump_that_is_restored_in_place_of_the_database_of_two_nodes() {
    comes_back_shorter(Way::Dump).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_dump_that_is_restored_over_the_database_of_two_nodes() {
    comes_back_shorter(Way::Over).await;
}

/// The same events at another place, as after a promotion that lost nothing: every token of before is good.
#[tokio::test(flavor = "multi_thread")]
async fn i12_a_change_of_identity_that_loses_nothing_voids_no_position() {
    let mut stage = Stage::set().await;
    let before = [stage.pays(0).await, stage.pays(1).await];
    stage.studio.drain().await;
    let head = stage.studio.head().await;
    stage.studio.database.replace_log(head, async |_| {}).await;
    let after = [stage.pays(1).await, stage.pays(0).await];
    stage.studio.drain().await;
    for node in 0..2 {
        for job in before.iter().chain(&after) {
            assert_eq!(stage.position_code(node, &job.position).await, None, "{job:?}");
            assert_eq!(stage.status(node, job).await.json()["status"], json!("succeeded"));
        }
    }
    assert_eq!(stage.branches().await, [(1, None), (head + 1, None)]);
    stage.read_models_are_a_fold_of_the_log().await;
    stage.stop().await;
}
