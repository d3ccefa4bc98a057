//! Deadlines: a job not ended in time fails and is never charged, whatever comes in late (U14, L10, L22).

use atelier_commands::CommandError;
use atelier_commands::process::{Work, enqueue};
use atelier_domain::generation::{GenerationCommand, GenerationError, Output};
use serde_json::json;

use super::Scene;

fn late_delivery() -> GenerationCommand {
    let object = "late.png".to_owned();
    let output = Output { object, media_type: "image/png".to_owned(), width: 64, height: 64, bytes: 1 };
    GenerationCommand::Succeed { attempt: 1, outputs: vec![output] }
}

#[tokio::test(flavor = "multi_thread")]
async fn u14_a_job_that_has_not_begun_by_its_longest_wait_fails_and_costs_nothing() {
    let scene = Scene::set().await;
    scene.studio.hold_renders().await;
    let job = scene.request().await;
    scene.studio.drain().await;
    assert_eq!((scene.shown(job).await["status"].clone(), scene.balance().await), (json!("queued"), (400, 100)));
    scene.studio.fire_timers("fail_if_not_started").await;
    scene.studio.drain().await;
    let shown = scene.shown(job).await;
    assert_eq!(
        (&shown["status"], &shown["failure"], &shown["credits_used"]),
        (&json!("failed"), &json!("timeout"), &json!(0))
    );
    assert_eq!((scene.balance().await, scene.ledger().await), ((500, 0), vec!["HoldPlaced", "HoldVoided"]));
    // The worker comes at last, and has nothing to do.
    scene.studio.release_renders().await;
    scene.studio.drain().await;
    assert_eq!(scene.story(job).await, ["GenerationRequested", "GenerationFailed"]);
    assert_eq!((scene.balance().await, scene.ledger().await), ((500, 0), vec!["HoldPlaced", "HoldVoided"]));
    let explore = scene.studio.graphql(None, "{ explore { edges { node { id } } } me { id } }", json!({})).await;
    assert_eq!(explore["explore"]["edges"], json!([]));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u14_a_result_that_comes_after_the_deadline_is_dropped_and_never_charged() {
    let scene = Scene::set().await;
    scene.studio.hold_renders().await;
    let job = scene.request().await;
    scene.command(job, GenerationCommand::Start).await.expect("a worker takes it");
    scene.studio.drain().await;
    scene.studio.fire_timers("time_out_generation").await;
    scene.studio.drain().await;
    let late = scene.command(job, late_delivery()).await;
    assert!(matches!(late, Err(CommandError::Refused(GenerationError::AlreadyEnded))), "{late:?}");
    scene.studio.release_renders().await;
    scene.studio.drain().await;
    assert_eq!(scene.story(job).await, ["GenerationRequested", "GenerationStarted", "GenerationFailed"]);
    assert_eq!((scene.balance().await, scene.ledger().await), ((500, 0), vec!["HoldPlaced", "HoldVoided"]));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u14_the_longest_wait_is_nothing_to_a_job_that_has_begun_and_its_run_is_counted_from_its_start() {
    let scene = Scene::set().await;
    scene.studio.hold_renders().await;
    let job = scene.request().await;
    scene.studio.drain().await;
    let timers = async |kind: &str| -> Vec<chrono::DateTime<chrono::Utc>> {
        let due = "select due_at from process_work where payload->>'kind' = $1 and payload->>'generation' = $2";
        let due = sqlx::query_scalar(due).bind(kind).bind(job.to_string());
        due.fetch_all(&scene.studio.database.pool).await.expect("the work list answers")
    };
    assert_eq!((timers("fail_if_not_started").await.len(), timers("time_out_generation").await.len()), (1, 0));
    scene.command(job, GenerationCommand::Start).await.expect("a worker takes it");
    scene.studio.drain().await;
    let limit = timers("time_out_generation").await;
    let started: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select decided_at from events where event_type = 'GenerationStarted'")
            .fetch_one(&scene.studio.database.pool)
            .await
            .expect("an event");
    assert_eq!(limit, [started + chrono::TimeDelta::minutes(10)]);
    scene.studio.fire_timers("fail_if_not_started").await;
    scene.studio.drain().await;
    assert_eq!(scene.story(job).await, ["GenerationRequested", "GenerationStarted"]);
    assert_eq!(scene.balance().await, (400, 100));
    scene.command(job, GenerationCommand::Start).await.expect("another attempt");
    scene.studio.drain().await;
    assert_eq!(timers("time_out_generation").await, limit, "another attempt has no more time");
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u14_the_timers_of_a_delivered_job_change_nothing() {
    let scene = Scene::set().await;
    let job = scene.request().await;
    scene.studio.drain().await;
    let (story, ledger) = (scene.story(job).await, scene.ledger().await);
    assert_eq!(story, ["GenerationRequested", "GenerationStarted", "GenerationSucceeded", "GenerationPublished"]);
    for timer in ["abandon_if_not_requested", "fail_if_not_started", "time_out_generation"] {
        scene.studio.fire_timers(timer).await;
        scene.studio.drain().await;
    }
    assert_eq!((scene.story(job).await, scene.ledger().await), (story, ledger));
    assert_eq!(scene.balance().await, (400, 0));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_an_expiry_that_is_called_for_too_early_takes_nothing() {
    let scene = Scene::set().await;
    scene.studio.fire_timers("expire_lot").await;
    scene.studio.drain().await;
    assert_eq!((scene.balance().await, scene.studio.events_named("LotExpired").await), ((500, 0), 0));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_for_what_is_not_there_ends_quietly() {
    let scene = Scene::set().await;
    let (generation, account) =
        (atelier_domain::GenerationId(scene.studio.node.studio.write.fresh_id()), scene.account);
    let ledger = atelier_domain::LedgerId::live(account);
    let at = scene.studio.node.studio.write.now();
    let pieces = [
        Work::RenderGeneration { generation, account: Some(account) },
        Work::FailIfNotStarted { generation, at },
        Work::TimeOutGeneration { generation, at },
        Work::VoidHold { ledger, generation },
        Work::CaptureHold { ledger, generation, amount: atelier_domain::Credits::new(100) },
        Work::DeleteMedia { generation },
    ];
    let head = scene.studio.head().await;
    for (number, work) in pieces.iter().enumerate() {
        enqueue(&scene.studio.database.pool, &format!("test:nothing:{number}"), work).await.expect("work is enqueued");
    }
    scene.studio.drain().await;
    let left: i64 = sqlx::query_scalar("select count(*) from process_work where id like 'test:%'")
        .fetch_one(&scene.studio.database.pool)
        .await
        .expect("the work list answers");
    assert_eq!((left, scene.studio.head().await), (0, head), "a refusal is an answer");
    scene.studio.stop().await;
}

/// Due by the database's clock is too early by the clock of a node that is behind: done then, it would be refused and never come again.
#[tokio::test(flavor = "multi_thread")]
async fn l13_u25_u36_what_is_called_for_before_its_time_waits_for_it() {
    let scene = Scene::set().await;
    let (write, pool, account) = (&scene.studio.node.studio.write, &scene.studio.database.pool, scene.account);
    let at = write.now() + chrono::TimeDelta::hours(1);
    let (ledger, lot) = (atelier_domain::LedgerId::live(account), atelier_domain::LotId(write.fresh_id()));
    let export = atelier_domain::ExportId(write.fresh_id());
    let early = [
        Work::ExpireLot { ledger, lot, at },
        Work::CloseUnverified { account, at },
        Work::TurnTwoFactorOff { account, at },
        Work::GiveUpDataExport { account, export, at },
        Work::RemoveDataExport { account, export, at },
    ];
    let head = scene.studio.head().await;
    for (number, work) in early.iter().enumerate() {
        enqueue(pool, &format!("test:early:{number}"), work).await.expect("work is enqueued");
    }
    sqlx::query("update process_work set due_at = now() where id like 'test:%'").execute(pool).await.expect("due");
    scene.studio.drain().await;
    let waiting = "select payload->>'kind' from process_work where id like 'test:%' and due_at > now() + interval '50 minutes' order by id";
    let waiting: Vec<String> = sqlx::query_scalar(waiting).fetch_all(pool).await.expect("the work list answers");
    let all = ["expire_lot", "close_unverified", "turn_two_factor_off", "give_up_data_export", "remove_data_export"];
    assert_eq!((waiting, scene.studio.head().await), (all.map(str::to_owned).to_vec(), head));
    scene.studio.stop().await;
}
