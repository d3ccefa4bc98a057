//! Clients that order pictures through two nodes, and remember what they were told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atelier_graphql::global_id::GlobalId;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::crash::members::Member;
use crate::harness::process::until;
use crate::harness::visitor::Visitor;

/// How many clients work at once.
const CLIENTS: usize = 6;
/// How long one request may stay unanswered.
const REQUEST: Duration = Duration::from_secs(20);
/// How long one order may take, all its repeats together.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// An order that was acknowledged.
#[derive(Debug, Clone)]
pub struct Told {
    /// Whose, by number.
    pub member: usize,
    /// The idempotency key.
    pub key: String,
    /// The job.
    pub generation: Uuid,
    /// The position to read from.
    pub token: String,
    /// How often the database had been exchanged when the order was first sent.
    pub exchanges: usize,
}

impl Told {
    /// The job's id as clients have it.
    pub fn id(&self) -> String {
        GlobalId::Generation(atelier_domain::GenerationId(self.generation)).text()
    }
}

/// Everything that clients were told.
#[derive(Debug, Default)]
pub struct Memory {
    told: Mutex<Vec<Told>>,
    exchanges: AtomicUsize,
    unanswered: AtomicUsize,
}

impl Memory {
    /// What they were told until now.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().expect("nobody panics while writing").clone()
    }

    /// Notes that from now on another database is behind the nodes.
    pub fn exchanged(&self) {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
    }

    /// How many requests were not answered, or with "try again".
    pub fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }
}

/// Clients at work.
pub struct Crowd {
    memory: Arc<Memory>,
    working: JoinSet<()>,
    enough: CancellationToken,
}

impl Crowd {
    /// Starts them, each at one of the nodes.
    pub fn gather(nodes: &[Visitor], members: &Arc<[Member]>, memory: &Arc<Memory>) -> Self {
        let (mut working, enough) = (JoinSet::new(), CancellationToken::new());
        for number in 0..CLIENTS {
            let (node, members) = (nodes[number % nodes.len()].clone(), members.clone());
            let (memory, enough) = (memory.clone(), enough.clone());
            working.spawn(async move {
                let mut orders = 0;
                while !enough.is_cancelled() {
                    let (member, exchanges) =
                        ((number + orders) % members.len(), memory.exchanges.load(Ordering::SeqCst));
                    let key = format!("client-{number}-order-{orders}");
                    let (generation, token) = order(&node, &members[member], &key, &memory.unanswered).await;
                    let told = Told { member, key, generation, token, exchanges };
                    memory.told.lock().expect("nobody panics while writing").push(told);
                    orders += 1;
                }
            });
        }
        Self { memory: memory.clone(), working, enough }
    }

    /// Waits until so many more orders are acknowledged.
    pub async fn acknowledges(&mut self, more: usize) {
        let wanted = self.memory.told().len() + more;
        until("acknowledgements", async || {
            if let Some(ended) = self.working.try_join_next() {
                ended.expect("a client failed");
            }
            (self.memory.told().len() >= wanted).then_some(())
        })
        .await;
    }

    /// Lets them finish what they have begun.
    pub async fn disperse(mut self) {
        self.enough.cancel();
        while let Some(ended) = self.working.join_next().await {
            ended.expect("a client failed");
        }
    }
}

/// Orders a picture, again and again until it is accepted: the job, and the position to read it from.
pub async fn order(node: &Visitor, member: &Member, key: &str, unanswered: &AtomicUsize) -> (Uuid, String) {
    let body = json!({ "prompt": key, "model": "z-image-turbo", "width": 64, "height": 64 });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = node.request("POST", "/v1/generations").bearer_auth(&member.key).json(&body);
        let sent = request.header("idempotency-key", key).timeout(REQUEST).send().await;
        if let Ok(answer) = sent {
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let answer: Value = answer.json().await.unwrap_or_default();
            if status == 202 || status == 200 {
                let job = answer["request_id"].as_str().and_then(GlobalId::generation).expect("a job's id").0;
                let token = headers.get("atelier-position").and_then(|token| token.to_str().ok());
                return (job, token.expect("a position to read from").to_owned());
            }
            assert!(status >= 500, "{key}: {status} {answer}");
        }
        assert!(Instant::now() < deadline, "{key} is not answered");
        unanswered.fetch_add(1, Ordering::SeqCst);
        sleep(PAUSE).await;
    }
}
