//! A node whose clock is wrong decides nothing, and says so; the log takes nothing from the future.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use atelier_commands::ports::Clock;
use atelier_server::system::SystemClock;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::TestStudio;

/// The machine's clock, set wrong by so many milliseconds.
#[derive(Default)]
struct Wrong(AtomicI64);

impl Clock for Wrong {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::milliseconds(self.0.load(Ordering::SeqCst))
    }
}

const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";

fn input(name: &str) -> Value {
    json!({ "input": { "email": format!("{name}@example.com"), "password": "correct-horse-1", "username": name, "minimumAge": 18 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_a_node_whose_clock_is_wrong_refuses_commands_until_it_is_right() {
    let clock = Arc::new(Wrong::default());
    let studio = TestStudio::by_clock(clock.clone()).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    studio.drain().await;
    for (place, wrong) in [5_000, -5_000, 3_600_000, -3_600_000].into_iter().enumerate() {
        clock.0.store(wrong, Ordering::SeqCst);
        // Found by the probe of whoever balances, or by the node itself within ten seconds.
        let ready = studio.get("/health/ready", None).await;
        assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (503, &json!("clock skew")), "{wrong}");
        let head = studio.head().await;
        let body = json!({ "query": SIGN_UP, "variables": input(&format!("bob{place}")) });
        let answer =
            studio.client().post(format!("{}/graphql", studio.url)).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 503, "{wrong}");
        assert!(answer.headers().contains_key("retry-after"), "{wrong}");
        let job = json!({ "prompt": "a wall", "model": "z-image-turbo", "width": 64, "height": 64 });
        let named = [("idempotency-key", "a-wall")];
        let answer = studio.post_with("/v1/generations", &key, &job, &named).await;
        assert_eq!(answer.status.as_u16(), 503, "{wrong}: {}", answer.text);
        assert_eq!(studio.head().await, head, "nothing was written");
        // Reading goes on.
        studio.graphql(None, "{ explore { edges { node { id } } } }", json!({})).await;
    }
    for (place, little) in [600, -600, 0].into_iter().enumerate() {
        clock.0.store(little, Ordering::SeqCst);
        assert_eq!(studio.get("/health/ready", None).await.status.as_u16(), 200, "{little}");
        studio.mutate(None, SIGN_UP, input(&format!("carol{place}"))).await;
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_the_log_takes_nothing_from_a_clock_that_went_ahead_since_the_last_look() {
    let clock = Arc::new(Wrong::default());
    let studio = TestStudio::by_clock(clock.clone()).await;
    studio.drain().await;
    let head = studio.head().await;
    clock.0.store(60_000, Ordering::SeqCst);
    let body = json!({ "query": SIGN_UP, "variables": input("ada") });
    let answer = studio.client().post(format!("{}/graphql", studio.url)).json(&body).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 503);
    assert_eq!(studio.head().await, head, "nothing was written");
    clock.0.store(0, Ordering::SeqCst);
    assert_eq!(studio.get("/health/ready", None).await.status.as_u16(), 200);
    studio.mutate(None, SIGN_UP, input("bob")).await;
    studio.stop().await;
}
