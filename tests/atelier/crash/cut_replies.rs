//! G2: answers that never arrive, on either side of the program: the client's connection is cut, and the database's answer is lost
//! after its commit. Asked again with the same key, on any node, each ends in exactly one effect.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use atelier_commands::idempotency::REQUEST_GENERATION;
use atelier_domain::AccountId;
use atelier_graphql::global_id::GlobalId;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::dice::Dice;
use super::journal::{Acknowledged, Journal, Told, hold_against};
use super::log_checker::LogChecker;
use super::members::grant;
use super::{another_node, size, tell};
use crate::harness::TestStudio;
use crate::harness::process::until;
use crate::harness::visitor::Visitor;
use crate::log::lossy_link::LossyLink;

/// How many people order at once.
const PEOPLE: usize = 4;
/// How long a cut request may take to its commit before it is asked again anyway.
const COMMIT: Duration = Duration::from_secs(5);

struct Orderer<'a> {
    studio: &'a TestStudio,
    link: &'a LossyLink,
    /// The first appends through the link, the second by itself.
    nodes: [SocketAddr; 2],
    account: Uuid,
    key: String,
    dice: Dice,
    /// Orders whose repeat found that they were done already.
    found: usize,
}

impl Orderer<'_> {
    /// One order that is cut off somewhere, then insisted on; what it was told in the end.
    async fn order(&mut self, number: usize, journal: &Journal) -> Acknowledged {
        let key = format!("order-{number}");
        let body = json!({ "prompt": key, "model": "z-image-turbo", "width": 64, "height": 64 });
        if self.dice.chance(30) {
            self.link.lose_answer(1 + self.dice.below(2));
        }
        let committed = self.dice.chance(70);
        self.cut(&key, &body.to_string(), committed).await;
        let node = Visitor::of(format!("http://{}", self.nodes[self.dice.below(2)]));
        let (hit, answer, position) = until("an answer", async || {
            let request = node.request("POST", "/v1/generations").bearer_auth(&self.key).json(&body);
            let answer = request.header("idempotency-key", &key).send().await.expect("the node answers");
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let position = journal.position(headers.get("atelier-position").and_then(|value| value.to_str().ok()));
            let answer: Value = answer.json().await.expect("JSON");
            let again = status == 503 && answer["retryable"] == json!(true);
            assert!(again || status == 202, "{status} {answer}");
            (!again).then(|| (headers.contains_key("idempotency-hit"), answer, position))
        })
        .await;
        self.found += usize::from(hit);
        let generation = answer["request_id"].as_str().and_then(GlobalId::generation).expect("a job's id").0;
        Acknowledged { account: self.account, told: Told::Accepted { key, generation }, position }
    }

    /// Sends an order and hangs up without reading: after its commit, or at any moment.
    async fn cut(&mut self, key: &str, body: &str, committed: bool) {
        let head = format!(
            "POST /v1/generations HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        let mut socket = TcpStream::connect(self.nodes[self.dice.below(2)]).await.expect("the node listens");
        socket.write_all(format!("{head}{body}").as_bytes()).await.expect("the request leaves");
        if committed {
            let used = "select exists (select from idempotency_keys where account_id = $1 and key = $2)";
            let secrets = &self.studio.node.studio.write.secrets;
            let key = secrets.idempotency_key(AccountId(self.account), REQUEST_GENERATION.name, key);
            let commit = async {
                let used = || sqlx::query_scalar(used).bind(self.account).bind(&key);
                while !used().fetch_one(&self.studio.database.pool).await.unwrap_or(false) {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            // An overloaded node may have refused it.
            timeout(COMMIT, commit).await.ok();
        } else {
            sleep(Duration::from_micros(self.dice.below(5_000) as u64)).await;
        }
        drop(socket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_an_order_whose_answer_never_came_ends_in_exactly_one_effect() {
    let (orders, started) = (size("ATELIER_SOAK_CUTS", 300), Instant::now());
    let mut dice = Dice::of("crash::cut_replies");
    let studio = TestStudio::start().await;
    let link = LossyLink::to(&studio.database.url).await;
    let lossy = another_node(&studio, &link.url).await;
    let mut superuser = PgConnection::connect(&studio.database.superuser_url).await.expect("the superuser connects");
    let journal = Journal::of(&mut superuser).await;
    studio.hold_renders().await;
    let mut ordering = Vec::new();
    for number in 0..PEOPLE.max(orders / 500) {
        let person = studio.newcomer(&format!("orderer{number}")).await;
        let (account, key) = (studio.account(&person).await, studio.api_key(&person).await.1);
        grant(&studio.node, account, &[10_000_000]).await;
        let nodes = [lossy.address, studio.node.address];
        let (studio, link, dice, account) = (&studio, &link, dice.fork(), account.0);
        ordering.push(Orderer { studio, link, nodes, account, key, dice, found: 0 });
    }
    let people = ordering.len();
    let told = join_all(ordering.iter_mut().enumerate().map(|(person, orderer)| {
        let journal = &journal;
        async move {
            let mut told = Vec::new();
            for number in (person..orders).step_by(people) {
                told.push(orderer.order(number, journal).await);
            }
            told
        }
    }));
    let told: Vec<Acknowledged> = told.await.into_iter().flatten().collect();
    let found: usize = ordering.iter().map(|orderer| orderer.found).sum();
    studio.drain().await;
    let mut checker = LogChecker::of_jobs_by(&studio.data.path().join("keys"));
    checker.read_on(&mut superuser).await;
    hold_against(&mut checker, &told);
    checker.every_hold_has_its_key();
    checker.assert_well();
    assert_eq!((told.len(), checker.ledgers.holds()), (orders, orders), "one hold for each order");
    assert!(found > orders / 3 && link.lost() > 0, "{found} repeats, {} answers lost: this proves little", link.lost());
    let lost = link.lost();
    tell(&format!("G2 cut answers: {orders} orders cut off, {lost} answers of the database lost after the commit"));
    tell(&format!("G2 cut answers: {found} were found done when asked again, effects {orders}, duplicated 0, lost 0"));
    tell(&format!("G2 cut answers: {} s", started.elapsed().as_secs()));
    assert!(lossy.stop().await, "everything that was begun ends in time");
    studio.stop().await;
}
