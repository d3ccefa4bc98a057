//! Two nodes on a database that is replaced under them, and what must hold afterwards.

use std::collections::HashSet;
use std::time::Duration;

use atelier_projections::models;
use atelier_server::node::Node;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::crash::another_node;
use crate::harness::TestStudio;
use crate::harness::studio::{Answer, Person};
use crate::harness::visitor::Visitor;

/// How long something may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job that was acknowledged.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: String,
    pub position: String,
}

/// A studio of two nodes and a person with an API key.
pub struct Stage {
    pub studio: TestStudio,
    pub other: Node,
    pub nodes: [Visitor; 2],
    pub ada: Person,
    pub key: String,
    pub told: HashSet<String>,
}

impl Stage {
    pub async fn set() -> Self {
        let studio = TestStudio::start().await;
        let other = another_node(&studio, &studio.database.url).await;
        let nodes = [&studio.url, &format!("http://{}", other.address)].map(|url| Visitor::of(url.clone()));
        let ada = studio.newcomer("ada").await;
        let (_, key) = studio.api_key(&ada).await;
        studio.drain().await;
        Self { studio, other, nodes, ada, key, told: HashSet::new() }
    }

    /// A picture that is paid for, by one of the nodes; nobody was told its position before.
    pub async fn pays(&mut self, node: usize) -> Job {
        let body = json!({ "prompt": "x", "model": "z-image-turbo", "width": 64, "height": 64 });
        let made = self.nodes[node].post("/v1/generate", &self.key, &body).await;
        assert_eq!(made.status.as_u16(), 200, "{}", made.text);
        let position = made.headers["atelier-position"].to_str().expect("ASCII").to_owned();
        assert!(self.told.insert(position.clone()), "two acknowledgements with one position");
        let id = made.json()["request_id"].as_str().expect("an id").to_owned();
        Job { id, position }
    }

    /// Waits until both nodes have let go of the connections that were ended.
    pub async fn reconnected(&self) {
        for pool in [&self.studio.database.pool, &self.other.studio.write.pool] {
            answers(pool).await;
        }
    }

    /// What a node says of a job: its status, or that there is none.
    pub async fn status(&self, node: usize, job: &Job) -> Answer {
        let path = format!("/v1/generations/{}", job.id);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.nodes[node].get(&path, Some(&self.key)).await;
            if answer.status.as_u16() < 500 {
                return answer;
            }
            assert!(Instant::now() < deadline, "{}", answer.json());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The code that a query with this position is answered with by a node; none when it is answered.
    pub async fn position_code(&self, node: usize, position: &str) -> Option<String> {
        let query = "query($position: String) { me(minPosition: $position) { credits { available held } } }";
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = json!({ "query": query, "variables": { "position": position } });
            let request = self.nodes[node].request("POST", "/graphql").bearer_auth(&self.ada.token).json(&asked);
            let answer: Value = request.send().await.expect("the node answers").json().await.expect("JSON");
            match answer["errors"][0]["extensions"]["code"].as_str() {
                Some("UNAVAILABLE" | "INTERNAL") => {
                    assert!(Instant::now() < deadline, "{answer}");
                    sleep(Duration::from_millis(20)).await;
                }
                code => return code.map(str::to_owned),
            }
        }
    }

    /// What a node says can be spent, and is held.
    pub async fn credits(&self, node: usize) -> Value {
        let data = self.nodes[node].graphql(Some(&self.ada.token), "{ me { credits { available held } } }", json!({}));
        data.await["credits"].clone()
    }

    /// Every hold that the log has was ended, once.
    pub async fn every_hold_has_ended(&self) {
        let open = "select count(*) from events h where event_type = 'HoldPlaced' and 1 <> (select count(*) from events e \
                    where e.aggregate_id = h.aggregate_id and e.event_type in ('HoldCaptured', 'HoldVoided') \
                    and e.payload::jsonb -> e.event_type ->> 'generation_id' = h.payload::jsonb -> 'HoldPlaced' ->> 'generation_id')";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&self.studio.database.pool).await.expect("the log answers");
        assert_eq!(open, 0, "holds without an end, or with two");
    }

    /// Every read model is what a fold of the log that is there gives.
    pub async fn read_models_are_a_fold_of_the_log(&self) {
        for model in models::all() {
            let rebuilt = self.studio.node.studio.runner.rebuild(model.name(), |_, _| {}).await;
            let rebuilt = rebuilt.unwrap_or_else(|error| panic!("{}: {error}", model.name()));
            assert!(!rebuilt.tables.is_empty(), "{} is compared", model.name());
            for table in &rebuilt.tables {
                assert_eq!(table.same(), Some(true), "{} serves something else: {table:?}", table.table);
            }
        }
    }

    /// The branches, in their order: first position, and through which one is lost.
    pub async fn branches(&self) -> Vec<(i64, Option<i64>)> {
        let branches = "select first_position, lost_through from log_branches order by ordinal";
        sqlx::query_as(branches).fetch_all(&self.studio.database.pool).await.expect("the branches can be read")
    }

    pub async fn stop(self) {
        assert!(self.other.stop().await, "it ends in time");
        self.studio.stop().await;
    }
}

/// Waits until a pool has no connection left that was ended: each shows at its first statement.
pub async fn answers(pool: &PgPool) {
    let deadline = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 12 {
        match sqlx::query("select").execute(pool).await {
            Ok(_) => in_a_row += 1,
            Err(error) => {
                in_a_row = 0;
                assert!(Instant::now() < deadline, "{error}");
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
