//! The crash test can fail: with an append that does not wait for its flush, a kill of PostgreSQL loses what was acknowledged, and
//! the same checker says so (G1's negative control).

use atelier_graphql::global_id::GlobalId;
use serde_json::json;
use sqlx::{Executor, PgConnection};

use super::journal::{Acknowledged, Journal, Told, hold_against};
use super::log_checker::Violation;
use super::members::Member;
use super::settled::at_rest;
use super::stage::Stage;
use super::tell;
use crate::harness::process::signal;

/// How many jobs are acknowledged before the kill.
const JOBS: usize = 3;

/// Puts a variant of `append_events` in its place: the same text, but its commit does not wait for the disk.
async fn plant(superuser: &mut PgConnection) {
    let text = sqlx::query_scalar("select pg_get_functiondef('append_events'::regproc)");
    let text: String = text.fetch_one(&mut *superuser).await.expect("the function is there");
    let durable = "set_config('synchronous_commit', 'on', true)";
    assert!(text.contains(durable), "the function has changed; plant the bug anew");
    let lossy = text.replace(durable, "set_config('synchronous_commit', 'off', true)");
    superuser.execute(lossy.as_str()).await.expect("the variant is created");
    // Nothing else writes out what waits in memory, however long the requests take: no commit of another session (`quietly`), and no
    // process of PostgreSQL's own.
    superuser.execute("alter system set autovacuum = off").await.expect("the superuser may");
    superuser.execute("select pg_reload_conf()").await.expect("the superuser may");
    let writers = "select pid::text from pg_stat_activity where backend_type in ('walwriter', 'checkpointer', 'background writer')";
    let writers: Vec<String> = sqlx::query_scalar(writers).fetch_all(&mut *superuser).await.expect("they are listed");
    assert_eq!(writers.len(), 3);
    signal("STOP", &writers);
}

/// Starts the server anew, so that no commit of its sessions waits for the disk unless it says so itself.
async fn quietly(stage: &mut Stage, superuser: &mut PgConnection) {
    let quiet = "alter role atelier_app set synchronous_commit = off";
    superuser.execute(quiet).await.expect("the superuser may");
    stage.kill_server();
    stage.start().await;
}

async fn acknowledged(stage: &Stage, member: &Member, journal: &Journal) -> Vec<Acknowledged> {
    let visitor = stage.visitor();
    let mut all = Vec::new();
    for number in 0..JOBS {
        let key = format!("lossy-{number}");
        let body = json!({ "prompt": key, "model": "z-image-turbo", "width": 64, "height": 64 });
        let request = visitor.request("POST", "/v1/generations").bearer_auth(&member.key).json(&body);
        let answer = request.header("idempotency-key", &key).send().await.expect("the server answers");
        assert_eq!(answer.status().as_u16(), 202);
        let position = journal.position(answer.headers()["atelier-position"].to_str().ok());
        let body: serde_json::Value = answer.json().await.expect("JSON");
        let generation = body["request_id"].as_str().and_then(GlobalId::generation).expect("a job's id").0;
        all.push(Acknowledged { account: member.account.0, told: Told::Accepted { key, generation }, position });
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_commits_that_are_not_flushed_are_lost_and_the_checker_says_so() {
    let mut stage = Stage::open().await;
    let members = stage.members(1).await;
    let mut superuser = stage.superuser().await;
    let journal = Journal::of(&mut superuser).await;
    quietly(&mut stage, &mut superuser).await;
    at_rest(&stage).await;
    let mut before = stage.checker();
    before.read_on(&mut superuser).await;
    before.assert_well();
    plant(&mut superuser).await;
    // The followers of the log, whose commits would take those of the appends along, are held still.
    superuser.execute("begin; lock table checkpoints in share mode").await.expect("the superuser may lock");
    let mut told = Vec::new();
    stage.home.kill_postgres(async { told = acknowledged(&stage, &members[0], &journal).await }).await;
    stage.kill_server();
    stage.start().await;

    let mut after = stage.checker();
    after.read_on(&mut stage.superuser().await).await;
    assert_eq!(after.violations(), [], "what is left is well formed: it is only too little");
    assert!(after.last() >= before.last(), "what came before was durable");
    hold_against(&mut after, &told);
    let lost = Violation::Lost { what: format!("{:?}", told[JOBS - 1]) };
    assert!(after.violations().contains(&lost), "the last one at least is lost: {:#?}", after.violations());
    let found = after.violations().len();
    tell(&format!("G1 control: of {JOBS} acknowledged without a flush {found} were lost, and the checker said so"));
}
