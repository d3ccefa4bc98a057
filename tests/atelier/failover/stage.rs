//! Two nodes over a database that can be exchanged beneath them, and what must hold once that has happened.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use atelier_commands::api_policy::ApiPolicy;
use atelier_server::config::AccessConfig;
use atelier_server::connections::ConnectionLimits;
use atelier_server::database;
use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE};
use atelier_server::node::{Node, NodeOptions};
use atelier_server::open_sockets::SocketLimits;
use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::told::{Memory, Told, order};
use crate::crash::log_checker::LogChecker;
use crate::crash::members::{Member, enrol, grant};
use crate::crash::settled::{balances_are_shown, rebuilt_equals_followed};
use crate::harness::cluster::{Ground, Server};
use crate::harness::line::Line;
use crate::harness::process::until;
use crate::harness::visitor::Visitor;

/// How many people order.
const PEOPLE: usize = 3;
/// How many lost orders are sent once more.
const AGAIN: usize = 5;
const JOB: &str = "query($id: ID!, $position: String) { generation(id: $id, minPosition: $position) { id status } }";

/// Two nodes, one data folder, and the line to their database.
pub struct Stage {
    // Let go in this order: the nodes, then what they stand on.
    nodes: Vec<Node>,
    data: TempDir,
    /// The address of the database.
    pub line: Line,
    /// Where its servers stand.
    pub ground: Ground,
    /// Who orders.
    pub members: Arc<[Member]>,
    /// What they were told.
    pub memory: Arc<Memory>,
}

impl Stage {
    /// Two nodes over a server, and people with credits.
    pub async fn open(ground: Ground, server: &Server) -> Self {
        let line = Line::to(server.socket()).await;
        let data = tempfile::Builder::new().prefix("atelier-failover-").tempdir().expect("a temporary folder");
        let mut stage = Self { nodes: Vec::new(), data, line, ground, members: Arc::new([]), memory: Arc::default() };
        for _ in 0..2 {
            let node = stage.node().await;
            stage.nodes.push(node);
        }
        let visitor = stage.visitors().remove(0);
        let names = (0..PEOPLE).map(|number| format!("member{number}")).collect::<Vec<_>>();
        let members = join_all(names.iter().map(|name| enrol(&visitor, &stage.nodes[0].mailbox, name))).await;
        for member in &members {
            grant(&stage.nodes[0], member.account, &[1_000_000]).await;
        }
        stage.members = members.into();
        stage
    }

    async fn node(&self) -> Node {
        let url = self.line.url(APPLICATION_ROLE, DATABASE);
        let options = NodeOptions {
            database_url: &url,
            pool: database::pool(&url, 8).await.expect("the application connects"),
            data: self.data.path(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            public_url: None,
            development: true,
            access: AccessConfig::default(),
            smtp: None,
            api: ApiPolicy::without_limits(),
            sockets: SocketLimits::default(),
            connections: ConnectionLimits::default(),
            generator: None,
            clock: None,
            operations: None,
            disks: Vec::new(),
            disk_reserve: 0,
        };
        Node::start(options).await.expect("the node starts")
    }

    /// A client of each node.
    pub fn visitors(&self) -> Vec<Visitor> {
        self.nodes.iter().map(|node| Visitor::of(format!("http://{}", node.address))).collect()
    }

    /// Leads the nodes to another server.
    pub fn exchange(&self, server: &Server) {
        self.memory.exchanged();
        self.line.lead_to(server.socket());
    }

    /// Waits until both nodes have nothing left to do.
    async fn at_rest(&self) {
        for node in &self.nodes {
            until("a node at rest", async || node.studio.at_rest().await.unwrap_or(false).then_some(())).await;
        }
    }

    /// Holds everything against the log that is there now: what clients were told, what they are shown, the holds, and every read model. Says
    /// how many acknowledged orders are gone.
    pub async fn tells_the_truth(mut self, server: &Server) -> usize {
        self.at_rest().await;
        let told = self.memory.told();
        let mut superuser = server.superuser(DATABASE).await;
        let mut before = LogChecker::of_jobs_by(&self.data.path().join("keys"));
        before.read_on(&mut superuser).await;
        let there = before.jobs.as_ref().expect("a checker of jobs");
        let (kept, lost): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|one| there.requested(one.generation));
        for one in &lost {
            assert_eq!(one.exchanges, 0, "accepted by the log that is there, and gone: {one:?}");
        }
        for visitor in self.visitors() {
            for one in &told {
                self.is_found_or_unknown(&visitor, one, there.requested(one.generation)).await;
            }
        }
        self.lost_orders_are_taken_again(&lost).await;
        self.at_rest().await;

        let mut checker = LogChecker::of_jobs_by(&self.data.path().join("keys"));
        checker.read_on(&mut superuser).await;
        checker.every_hold_has_its_key();
        checker.at_rest();
        checker.assert_well();
        for visitor in self.visitors() {
            balances_are_shown(&visitor, &self.members, &checker).await;
        }
        let (kept, lost) = (kept.len(), lost.len());
        eprintln!("failover: {} told, {kept} kept, {lost} lost, {} not answered", told.len(), self.memory.unanswered());
        let first = self.nodes.remove(0);
        for node in self.nodes.drain(..) {
            assert!(node.stop().await, "everything that was begun ends in time");
        }
        let pool = first.studio.write.pool.clone();
        rebuilt_equals_followed(&first, &pool).await;
        assert!(first.stop().await, "everything that was begun ends in time");
        lost
    }

    /// One client's question on one node: where is my job, not before the position I was given?
    async fn is_found_or_unknown(&self, visitor: &Visitor, one: &Told, there: bool) {
        let token = &self.members[one.member].token;
        let ask = async |position: Option<&str>| {
            until("an answer", async || {
                let query = json!({ "query": JOB, "variables": { "id": one.id(), "position": position } });
                let answer = visitor.request("POST", "/graphql").bearer_auth(token).json(&query).send().await;
                let answer: Value = answer.expect("the node answers").json().await.expect("JSON");
                let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
                // A connection of before is noticed by the read that meets it.
                (!["UNAVAILABLE", "STALE_READ"].contains(&code)).then_some(answer)
            })
            .await
        };
        let (at_its_position, now) = (ask(Some(&one.token)).await, ask(None).await);
        assert!(now.get("errors").is_none(), "{one:?}: {now}");
        if there {
            assert!(at_its_position.get("errors").is_none(), "it is there: {one:?}: {at_its_position}");
            for answer in [&at_its_position, &now] {
                assert_eq!(answer["data"]["generation"]["status"], json!("SUCCEEDED"), "{one:?}: {answer}");
            }
        } else {
            let code = &at_its_position["errors"][0]["extensions"]["code"];
            assert_eq!(code, &json!("POSITION_UNKNOWN"), "it is gone: {one:?}: {at_its_position}");
            assert_eq!(now["data"]["generation"], Value::Null, "it is gone: {one:?}");
        }
    }

    /// Clients whose order is gone send it again, through both nodes: it is one new job.
    async fn lost_orders_are_taken_again(&self, lost: &[&Told]) {
        let (visitors, unanswered) = (self.visitors(), AtomicUsize::new(0));
        for one in lost.iter().take(AGAIN) {
            let member = &self.members[one.member];
            let jobs = join_all(visitors.iter().map(|node| order(node, member, &one.key, &unanswered))).await;
            assert!(jobs.iter().all(|(job, _)| *job == jobs[0].0), "one key, two jobs: {jobs:?}");
        }
    }
}

/// The position of a server's last event.
pub async fn head(server: &Server) -> i64 {
    let head = sqlx::query_scalar("select coalesce(max(position), 0) from events");
    head.fetch_one(&mut server.superuser(DATABASE).await).await.expect("the log answers")
}
