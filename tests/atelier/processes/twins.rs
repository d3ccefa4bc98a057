//! A request that is slow between its hold and its job: a twin with the same key takes the step, or its id is abandoned (L05, DESIGN 4).

use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::command_path::CommandPath;
use atelier_commands::event_store::{
    Append, AppendError, EventStore, LoadError, Position, StoredEvent, StreamId, Submitted, UsedKey,
};
use atelier_commands::use_cases::{Accepted, RequestGeneration};
use atelier_commands::{CommandError, RefusalCode, UseCaseError, WriteSide};
use atelier_domain::{AccountId, Environment};
use tokio::sync::Notify;

use super::Scene;

/// A log that stops before the first event of a job until it is told to go on.
struct Slow {
    log: Arc<dyn EventStore>,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl EventStore for Slow {
    fn submit(&self, append: Append) -> Result<Submitted, AppendError> {
        if append.stream.aggregate_type != "Generation" || append.expected_sequence > 0 {
            return self.log.submit(append);
        }
        let (log, reached, go_on) = (self.log.clone(), self.reached.clone(), self.go_on.clone());
        Ok(Box::pin(async move {
            reached.notify_one();
            go_on.notified().await;
            log.append(append).await
        }))
    }

    async fn page(&self, stream: &StreamId, after_sequence: i64, limit: usize) -> Result<Vec<StoredEvent>, LoadError> {
        self.log.page(stream, after_sequence, limit).await
    }

    async fn head(&self) -> Result<Position, LoadError> {
        self.log.head().await
    }

    async fn find_key(&self, account: AccountId, key: &str) -> Result<Option<UsedKey>, LoadError> {
        self.log.find_key(account, key).await
    }
}

fn request(account: AccountId, idempotency_key: Option<&str>) -> RequestGeneration {
    RequestGeneration {
        account,
        environment: Environment::Live,
        api_key: None,
        prompt: "A calm ocean at dawn".to_owned(),
        model: "z-image-turbo".to_owned(),
        width: Some(64),
        height: Some(64),
        num_images: None,
        seed: None,
        max_credits: None,
        publish: None,
        idempotency_key: idempotency_key.map(str::to_owned),
    }
}

/// Runs a request that stops between hold and job, and something else in that moment; what the request comes to.
async fn slow_request(
    scene: &Scene,
    key: Option<&str>,
    meanwhile: impl AsyncFnOnce(),
) -> Result<Accepted, UseCaseError> {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let write = scene.studio.node.studio.write.clone();
    let log = Slow { log: write.path.store().clone(), reached: reached.clone(), go_on: go_on.clone() };
    let path =
        CommandPath::new(Arc::new(log), write.vault.clone(), write.ports.clock.clone(), write.ports.random.clone());
    let slow = WriteSide { path, ..write };
    let context = scene.studio.operator();
    let first = request(scene.account, key).run(&slow, &context);
    let meanwhile = async {
        reached.notified().await;
        meanwhile().await;
        // It stops once more if it decides again on an empty stream; it must not.
        go_on.notify_one();
    };
    let (first, ()) = tokio::join!(first, meanwhile);
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn l05_a_twin_that_was_faster_made_the_same_job() {
    let scene = Scene::set().await;
    let mut twin = None;
    let first = slow_request(&scene, Some("order-1"), async || {
        let write = &scene.studio.node.studio.write;
        let context = scene.studio.operator();
        twin = Some(request(scene.account, Some("order-1")).run(write, &context).await.expect("the twin resumes"));
        // The twin's job may even be delivered by then.
        scene.studio.drain().await;
    })
    .await
    .expect("the first request is answered as well");
    let twin = twin.expect("the twin ran");
    assert_eq!((first.generation, first.repeated, twin.repeated), (twin.generation, false, true));
    assert!(first.position.number >= twin.position.number, "read from there, the job is seen");
    scene.studio.drain().await;
    assert_eq!(scene.ledger().await, ["HoldPlaced", "HoldCaptured"]);
    assert_eq!(scene.story(first.generation).await.iter().filter(|name| **name == "GenerationRequested").count(), 1);
    assert_eq!(scene.balance().await, (400, 0));
    scene.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_request_too_slow_for_its_hold_is_refused_and_costs_nothing() {
    for key in [None, Some("order-1")] {
        let scene = Scene::set().await;
        let refused = slow_request(&scene, key, async || {
            scene.studio.drain().await;
            scene.studio.fire_timers("abandon_if_not_requested").await;
            scene.studio.drain().await;
        })
        .await;
        let Err(CommandError::Refused(refusal)) = refused else { panic!("not refused: {refused:?}") };
        assert_eq!(refusal.code, RefusalCode::AlreadyEnded);
        scene.studio.drain().await;
        assert_eq!((scene.balance().await, scene.ledger().await), ((500, 0), vec!["HoldPlaced", "HoldVoided"]));
        assert_eq!(scene.studio.events_named("GenerationRequested").await, 0);
        scene.studio.stop().await;
    }
}
