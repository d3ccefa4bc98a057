//! A process that dies between the hold and the job: the id is closed first, then the credits come back; or a repeat resumes.

use atelier_commands::CommandError;
use atelier_commands::command_path::Target;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, HoldLimits};
use atelier_domain::generation::{GenerationCommand, GenerationError, GenerationRequest, RequestTerms};
use atelier_domain::policy::catalogue::{self, MediaType};
use atelier_domain::text::Prompt;
use atelier_domain::{Credits, Environment, GenerationId, LedgerId};
use atelier_graphql::global_id::GlobalId;
use serde_json::{Value, json};

use super::{Scene, picture};

/// Places the hold of a job and dies.
async fn hold_and_die(scene: &Scene) -> GenerationId {
    let write = &scene.studio.node.studio.write;
    let job = GenerationId(write.fresh_id());
    let ledger = LedgerId::live(scene.account);
    let hold = |now| CreditLedgerCommand::PlaceHold {
        hold_id: job.into(),
        generation_id: job,
        amount: Credits::new(100),
        price_version: catalogue::PRICE_VERSION,
        limits: HoldLimits::default(),
        now,
    };
    let target = Target { id: ledger.to_string(), subject: scene.account };
    write.path.execute::<CreditLedger>(&target, &scene.studio.operator(), None, hold).await.expect("credits are held");
    job
}

/// The request that was on its way when its process seemed dead.
fn late_request(scene: &Scene) -> GenerationCommand {
    let terms = RequestTerms {
        account_id: scene.account,
        environment: Environment::Live,
        api_key_id: None,
        model: "z-image-turbo".to_owned(),
        media_type: MediaType::Image,
        width: 64,
        height: 64,
        num_images: 1,
        seed: 7,
        unit_price: Credits::new(100),
        price: Credits::new(100),
        price_version: catalogue::PRICE_VERSION,
        publish: true,
    };
    GenerationCommand::Request(Box::new(GenerationRequest { terms, prompt: Prompt::parse("late").expect("a prompt") }))
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_l10_a_hold_without_its_job_is_closed_and_the_credits_come_back() {
    let scene = Scene::set().await;
    let job = hold_and_die(&scene).await;
    scene.studio.drain().await;
    assert_eq!(scene.balance().await, (400, 100), "held: the job may still come");
    assert_eq!(scene.story(job).await, [""; 0]);
    scene.studio.fire_timers("abandon_if_not_requested").await;
    scene.studio.drain().await;
    assert_eq!(scene.story(job).await, ["GenerationAbandoned"], "event 1 of its stream");
    assert_eq!(scene.ledger().await, ["HoldPlaced", "HoldVoided"]);
    assert_eq!(scene.balance().await, (500, 0));
    // First the id was closed, then the hold was voided: the other order would let a late job run for nothing.
    let order = "select array_agg(event_type order by position) from events where event_type in ('GenerationAbandoned', 'HoldVoided')";
    let order: Vec<String> =
        sqlx::query_scalar(order).fetch_one(&scene.studio.database.pool).await.expect("the log answers");
    assert_eq!(order, ["GenerationAbandoned", "HoldVoided"]);
    let late = scene.command(job, late_request(&scene)).await;
    assert!(matches!(late, Err(CommandError::Refused(GenerationError::AlreadyUsed))), "{late:?}");
    scene.studio.drain().await;
    assert_eq!((scene.story(job).await, scene.balance().await), (vec!["GenerationAbandoned"], (500, 0)));
    assert_eq!(scene.shown(job).await["error"], json!("not_found"), "it never was");
    scene.studio.stop().await;
}

/// A request whose second append fails, as if its process had died there; the hold's id.
async fn cut_short(scene: &Scene, header: (&str, &str)) -> GenerationId {
    scene.studio.refuse_events_of("Generation").await;
    let failed = scene.studio.post_with("/v1/generate", &scene.key, &picture(), &[header]).await;
    assert_eq!((failed.status.as_u16(), &failed.json()["error"]), (500, &json!("internal")), "{}", failed.text);
    assert!(!failed.text.contains("planted"), "sec.R6: the cause is not sent");
    scene.studio.accept_events().await;
    scene.studio.drain().await;
    assert_eq!(scene.balance().await, (400, 100));
    let held = "select payload->'HoldPlaced'->>'generation_id' from events where event_type = 'HoldPlaced'";
    let held: String = sqlx::query_scalar(held).fetch_one(&scene.studio.database.pool).await.expect("one hold");
    held.parse().expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_repeat_takes_the_missing_step_under_the_same_id() {
    let scene = Scene::set().await;
    let header = ("idempotency-key", "order-1");
    let held = cut_short(&scene, header).await;
    let again = scene.studio.post_with("/v1/generate", &scene.key, &picture(), &[header]).await;
    let body = again.json();
    assert_eq!(
        (again.status.as_u16(), &body["request_id"]),
        (200, &json!(GlobalId::Generation(held).text())),
        "{body}"
    );
    // The timer of the hold comes too late: the job is there.
    scene.studio.fire_timers("abandon_if_not_requested").await;
    scene.studio.drain().await;
    assert_eq!(scene.ledger().await, ["HoldPlaced", "HoldCaptured"], "held once, paid once");
    assert_eq!(scene.balance().await, (400, 0));
    assert!(!scene.story(held).await.contains(&"GenerationAbandoned"));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_repeat_after_the_abandonment_is_told_to_begin_anew() {
    let scene = Scene::set().await;
    let header = ("idempotency-key", "order-1");
    let held = cut_short(&scene, header).await;
    scene.studio.fire_timers("abandon_if_not_requested").await;
    scene.studio.drain().await;
    assert_eq!(scene.balance().await, (500, 0));
    for _ in 0..2 {
        let again = scene.studio.post_with("/v1/generate", &scene.key, &picture(), &[header]).await;
        assert_eq!((again.status.as_u16(), &again.json()["error"]), (409, &json!("already_ended")), "{}", again.text);
    }
    let anew = scene.studio.post_with("/v1/generate", &scene.key, &picture(), &[("idempotency-key", "order-2")]).await;
    assert_eq!((anew.status.as_u16(), &anew.json()["credits_used"]), (200, &json!(100)));
    assert_eq!((scene.story(held).await, scene.balance().await), (vec!["GenerationAbandoned"], (400, 0)));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hold_fails_first_and_then_nothing_is_held_and_the_key_is_free() {
    let scene = Scene::set().await;
    scene.studio.refuse_events_of("CreditLedger").await;
    let header = [("idempotency-key", "order-1")];
    let failed = scene.studio.post_with("/v1/generate", &scene.key, &picture(), &header).await;
    assert_eq!(failed.status.as_u16(), 500);
    scene.studio.accept_events().await;
    scene.studio.drain().await;
    assert_eq!((scene.balance().await, scene.studio.events_named("GenerationRequested").await), ((500, 0), 0));
    let again = scene.studio.post_with("/v1/generate", &scene.key, &picture(), &header).await;
    assert_eq!((again.status.as_u16(), again.headers.get("idempotency-hit")), (200, None));
    assert_eq!(again.json()["images"].as_array().map(Vec::len), Some(1));
    assert_eq!(again.json()["failure"], Value::Null);
    scene.studio.stop().await;
}
