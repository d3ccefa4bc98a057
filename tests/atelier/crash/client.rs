//! A client under fire: asks for pictures and changes, and asks again with the same key until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atelier_graphql::global_id::GlobalId;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::dice::Dice;
use super::journal::{Acknowledged, Journal, Told};
use super::members::Member;
use crate::harness::http_client;

/// How long one request may stay unanswered before it is sent again.
const REQUEST: Duration = Duration::from_secs(20);
/// How long one command may take, all its repeats together.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two tries, unless the server is up somewhere else before.
const PAUSE: Duration = Duration::from_millis(25);
/// How many members are busy at a time.
const BUSY: usize = 4;

/// A request for a picture, as it is sent again and again.
#[derive(Debug, Clone)]
struct Order {
    path: &'static str,
    key: String,
    body: Value,
    /// What was answered before, if it is repeated.
    generation: Option<Uuid>,
}

/// An answer that arrived whole.
struct Answer {
    status: StatusCode,
    position: Option<i64>,
    body: Value,
}

/// The client.
pub struct Client {
    pub number: usize,
    pub dice: Dice,
    pub members: Arc<[Member]>,
    /// The first of the members that are busy now.
    pub turn: Arc<AtomicUsize>,
    pub address: watch::Receiver<String>,
    pub journal: Arc<Journal>,
    http: reqwest::Client,
    /// The last orders that were accepted.
    accepted: Vec<(Member, Order)>,
    orders: usize,
}

impl Client {
    /// A client.
    pub fn new(
        number: usize,
        dice: Dice,
        members: Arc<[Member]>,
        turn: Arc<AtomicUsize>,
        address: watch::Receiver<String>,
        journal: Arc<Journal>,
    ) -> Self {
        let http = http_client();
        Self { number, dice, members, turn, address, journal, http, accepted: Vec::new(), orders: 0 }
    }

    /// Works until it is enough; what was begun is brought to its answer.
    pub async fn run(mut self, enough: CancellationToken) {
        while !enough.is_cancelled() {
            let busy = self.turn.load(Ordering::Relaxed) + self.dice.below(BUSY);
            let member = self.members[busy % self.members.len()].clone();
            match self.dice.below(20) {
                0..9 => drop(self.order(&member, "/v1/generate").await),
                9..13 => drop(self.order(&member, "/v1/generations").await),
                13..16 => self.order_and_cancel(&member).await,
                16..18 => self.repeat().await,
                _ => self.change_bio(&member).await,
            }
        }
    }

    /// Orders a picture; the job, if it was accepted.
    async fn order(&mut self, member: &Member, path: &'static str) -> Option<Uuid> {
        self.orders += 1;
        let key = format!("client-{}-order-{}", self.number, self.orders);
        let (width, images) = (64 + self.dice.below(3), if self.dice.chance(20) { 2 } else { 1 });
        let body =
            json!({ "prompt": key, "model": "z-image-turbo", "width": width, "height": 64, "num_images": images });
        self.insist_on(member, Order { path, key, body, generation: None }).await
    }

    /// Sends an order until it is answered, and writes down what it was told.
    async fn insist_on(&mut self, member: &Member, mut order: Order) -> Option<Uuid> {
        let answer = self
            .insist(|http, url| {
                let request = http.post(format!("{url}{}", order.path)).bearer_auth(&member.key).json(&order.body);
                request.header("idempotency-key", &order.key).header("prefer", "wait=10")
            })
            .await;
        let error = answer.body["error"].as_str();
        match (answer.status.as_u16(), error) {
            (200 | 202, _) => {}
            (402, Some("insufficient_credits")) => {
                let (required, available) = (answer.body["required"].as_i64(), answer.body["available"].as_i64());
                assert!(available < required, "refused for nothing: {}", answer.body);
                assert_eq!(order.generation, None, "what was accepted is not refused later: {}", answer.body);
                self.journal.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            (409, Some("already_ended")) => {
                self.journal.abandoned.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            // The repeat of an order whose job was withdrawn meanwhile.
            (409, Some("cancelled")) if order.generation.is_some() => return None,
            other => panic!("{} {}: {other:?} {}", order.path, order.key, answer.body),
        }
        let generation = answer.body["request_id"].as_str().and_then(GlobalId::generation).expect("a job's id").0;
        assert!(order.generation.is_none_or(|before| before == generation), "one key, two jobs: {}", order.key);
        let key = order.key.clone();
        let told = match (answer.status.as_u16(), answer.body["credits_used"].as_i64()) {
            (200, Some(captured)) => Told::Paid { key, generation, captured },
            _ => Told::Accepted { key, generation },
        };
        self.acknowledge(member, told, answer.position);
        if order.generation.replace(generation).is_none() {
            self.accepted.push((member.clone(), order));
            if self.accepted.len() > 50 {
                self.accepted.remove(0);
            }
        }
        Some(generation)
    }

    async fn order_and_cancel(&mut self, member: &Member) {
        let Some(generation) = self.order(member, "/v1/generations").await else { return };
        let id = GlobalId::Generation(atelier_domain::GenerationId(generation)).text();
        let key = member.key.clone();
        let answer = self
            .insist(|http, url| {
                let cancel = http.post(format!("{url}/v1/generations/{id}/cancel")).bearer_auth(&key);
                cancel.json(&json!({}))
            })
            .await;
        match (answer.status.as_u16(), answer.body["error"].as_str()) {
            (200, _) => self.acknowledge(member, Told::Cancelled { generation }, answer.position),
            // It was drawn faster.
            (409, Some("already_ended")) => {}
            other => panic!("cancel: {other:?} {}", answer.body),
        }
    }

    /// Sends an order again that was accepted before.
    async fn repeat(&mut self) {
        if self.accepted.is_empty() {
            return;
        }
        let (member, order) = self.dice.pick(&self.accepted).clone();
        self.journal.repeated.fetch_add(1, Ordering::Relaxed);
        self.insist_on(&member, order).await;
    }

    async fn change_bio(&mut self, member: &Member) {
        self.orders += 1;
        let query = "mutation($bio: String!) { updateProfile(input: { bio: $bio }) { userErrors { code } position } }";
        let body = json!({ "query": query, "variables": { "bio": format!("{} {}", self.number, self.orders) } });
        let token = member.token.clone();
        let answer = self.insist(|http, url| http.post(format!("{url}/graphql")).bearer_auth(&token).json(&body)).await;
        let payload = &answer.body["data"]["updateProfile"];
        assert_eq!((answer.status.as_u16(), &payload["userErrors"]), (200, &json!([])), "{}", answer.body);
        let position = self.journal.position(payload["position"].as_str());
        self.acknowledge(member, Told::BioChanged, position);
    }

    fn acknowledge(&self, member: &Member, told: Told, position: Option<i64>) {
        self.journal.acknowledge(Acknowledged { account: member.account.0, told, position });
    }

    /// Sends a request until it is answered with something else than "try again".
    async fn insist(&mut self, request: impl Fn(&reqwest::Client, &str) -> RequestBuilder) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let url = self.address.borrow_and_update().clone();
            self.journal.sent.fetch_add(1, Ordering::Relaxed);
            if let Ok(answer) = self.send(request(&self.http, &url)).await {
                let again = answer.body["retryable"] == json!(true) || unavailable(&answer.body);
                if answer.status == StatusCode::INTERNAL_SERVER_ERROR {
                    self.journal.faults.fetch_add(1, Ordering::Relaxed);
                } else if !again {
                    return answer;
                }
            }
            self.journal.unanswered.fetch_add(1, Ordering::Relaxed);
            assert!(Instant::now() < deadline, "client {} is not answered", self.number);
            timeout(PAUSE, self.address.changed()).await.ok();
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ()> {
        let response = request.timeout(REQUEST).send().await.map_err(drop)?;
        let (status, header) = (response.status(), response.headers().get("atelier-position").cloned());
        let position = self.journal.position(header.as_ref().and_then(|value| value.to_str().ok()));
        let body = response.bytes().await.map_err(drop)?;
        Ok(Answer { status, position, body: serde_json::from_slice(&body).map_err(drop)? })
    }
}

/// A fault of GraphQL that passes. That somebody is nobody, or a position not of this log, would be another.
fn unavailable(body: &Value) -> bool {
    let code = body["errors"][0]["extensions"]["code"].as_str();
    code.is_some_and(|code| ["UNAVAILABLE", "OUTCOME_UNKNOWN", "STALE_READ", "CONFLICT"].contains(&code))
}
