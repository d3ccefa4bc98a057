//! Workers that die, leases that run out, work delivered twice: one delivery, one capture (L10, L22).

use atelier_commands::CommandError;
use atelier_commands::process::{Work, enqueue};
use atelier_domain::generation::{GenerationCommand, GenerationError, Output};
use atelier_domain::{Credits, GenerationId, LedgerId};
use serde_json::json;

use super::Scene;

/// Sets the lease of a job's render by the database's clock.
async fn lease(scene: &Scene, job: GenerationId, until: &str) {
    let set = format!(
        "update process_work set leased_until = now() + interval '{until}', attempts = 1, due_at = now() - interval '1 hour' \
         where lane = 'render' and payload->>'generation' = $1"
    );
    let set = sqlx::query(&set).bind(job.to_string()).execute(&scene.studio.database.pool).await;
    assert_eq!(set.expect("the work list answers").rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn l22_a_worker_that_dies_is_followed_by_another_and_the_job_is_paid_once() {
    let scene = Scene::set().await;
    scene.studio.hold_renders().await;
    let job = scene.request().await;
    scene.studio.drain().await;
    // A worker on another node took it, started, and is never heard of again.
    scene.command(job, GenerationCommand::Start).await.expect("attempt 1");
    lease(&scene, job, "1 hour").await;
    scene.studio.as_superuser("drop trigger hold_renders on process_work").await;
    // While its lease lasts nobody touches the job, though it waits longest: a later one is delivered before it.
    let second = scene.studio.post("/v1/generate", &scene.key, &super::picture()).await;
    assert_eq!(second.status.as_u16(), 200, "{}", second.text);
    assert_eq!(scene.story(job).await, ["GenerationRequested", "GenerationStarted"]);
    lease(&scene, job, "-1 second").await;
    scene.studio.drain().await;
    let story =
        ["GenerationRequested", "GenerationStarted", "GenerationStarted", "GenerationSucceeded", "GenerationPublished"];
    assert_eq!(scene.story(job).await, story, "attempt 2 delivers");
    let shown = scene.shown(job).await;
    let url = shown["images"][0]["url"].as_str().expect("a link");
    let delivered = "select payload::text from events where event_type = 'GenerationSucceeded' and aggregate_id = $1";
    let delivered = sqlx::query_scalar::<_, String>(delivered).bind(job.to_string());
    let delivered = delivered.fetch_one(&scene.studio.database.pool).await.expect("the log answers");
    assert!(delivered.contains("/2/0."), "the files of attempt 2: {delivered}");
    assert_eq!(scene.studio.download(url).await.0.as_u16(), 200);
    // The dead worker was only slow.
    let output = Output { object: "x".to_owned(), media_type: "image/png".to_owned(), width: 64, height: 64, bytes: 1 };
    let late = scene.command(job, GenerationCommand::Succeed { attempt: 1, outputs: vec![output] }).await;
    assert!(matches!(late, Err(CommandError::Refused(GenerationError::AlreadyEnded))), "{late:?}");
    scene.studio.drain().await;
    assert_eq!(scene.balance().await, (300, 0));
    assert_eq!(scene.studio.events_named("HoldCaptured").await, 2, "one for each job");
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_work_that_is_delivered_twice_does_nothing_more() {
    let scene = Scene::set().await;
    let job = scene.request().await;
    scene.studio.drain().await;
    let ledger = LedgerId::live(scene.account);
    let before = (scene.story(job).await, scene.ledger().await);
    let again = [
        Work::CaptureHold { ledger, generation: job, amount: Credits::new(100) },
        Work::CaptureHold { ledger, generation: job, amount: Credits::new(1) },
        Work::VoidHold { ledger, generation: job },
        Work::RenderGeneration { generation: job, account: Some(scene.account) },
        Work::AbandonIfNotRequested {
            account: scene.account,
            generation: job,
            at: scene.studio.node.studio.write.now(),
        },
    ];
    for (number, work) in again.iter().enumerate() {
        enqueue(&scene.studio.database.pool, &format!("test:again:{number}"), work).await.expect("work is enqueued");
    }
    scene.studio.drain().await;
    assert_eq!((scene.story(job).await, scene.ledger().await), before);
    assert_eq!(before.1, ["HoldPlaced", "HoldCaptured"]);
    assert_eq!(scene.balance().await, (400, 0));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u19_a_bonus_asked_for_twice_is_granted_once() {
    let scene = Scene::set().await;
    let lot: uuid::Uuid = sqlx::query_scalar("select event_id from events where event_type = 'EmailVerified'")
        .fetch_one(&scene.studio.database.pool)
        .await
        .expect("one proof");
    let work = Work::GrantSignUpBonus { account: scene.account, lot: atelier_domain::LotId(lot) };
    enqueue(&scene.studio.database.pool, "test:bonus", &work).await.expect("work is enqueued");
    scene.studio.drain().await;
    assert_eq!((scene.balance().await, scene.studio.events_named("CreditsGranted").await), ((500, 0), 1));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l22_a_capture_that_fails_is_tried_again_until_it_is_done() {
    let scene = Scene::set().await;
    scene.studio.hold_renders().await;
    let job = scene.request().await;
    scene.studio.drain().await;
    // The ledger's log is out of order just when the job is delivered.
    scene.studio.refuse_events_of("CreditLedger").await;
    scene.studio.release_renders().await;
    let failing = "select count(*) from process_work where lane = 'command' and last_error is not null";
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(failing).fetch_one(&scene.studio.database.pool).await.expect("it answers") == 0 {
        assert!(tokio::time::Instant::now() < deadline, "the capture is not tried");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(scene.shown(job).await["credits_used"], json!(null), "not paid, and not said to be");
    assert_eq!(scene.ledger().await, ["HoldPlaced"]);
    scene.studio.accept_events().await;
    sqlx::query("update process_work set due_at = now() where lane = 'command'")
        .execute(&scene.studio.database.pool)
        .await
        .expect("due");
    scene.studio.drain().await;
    assert_eq!((scene.ledger().await, scene.balance().await), (vec!["HoldPlaced", "HoldCaptured"], (400, 0)));
    scene.studio.stop().await;
}
