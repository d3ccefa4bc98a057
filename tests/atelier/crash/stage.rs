//! What the crash test kills: `atelier serve` in a process of its own, with its own durable PostgreSQL, and both started again.

use std::time::Duration;

use atelier_commands::api_policy::ApiPolicy;
use atelier_gateways::Mailbox;
use atelier_server::config::AccessConfig;
use atelier_server::connections::ConnectionLimits;
use atelier_server::database;
use atelier_server::node::{Node, NodeOptions};
use atelier_server::open_sockets::SocketLimits;
use futures::future::join_all;
use sqlx::{Executor, PgConnection};
use tokio::sync::watch;
use tokio::time::sleep;

use super::dice::Dice;
use super::log_checker::LogChecker;
use super::members::{Member, enrol, grant};
use crate::harness::process::{Home, Served, until};
use crate::harness::visitor::Visitor;

/// The processes, and how often each was killed.
pub struct Stage {
    // Let go in this order: the home stops what is left of PostgreSQL, which a server would still own.
    served: Option<Served>,
    pub home: Home,
    address: watch::Sender<String>,
    pub server_kills: usize,
    pub postgres_kills: usize,
}

impl Stage {
    /// A fresh one, up.
    pub async fn open() -> Self {
        let (home, address) = (Home::open().await, watch::Sender::default());
        let mut stage = Self { home, served: None, address, server_kills: 0, postgres_kills: 0 };
        stage.start().await;
        // A killed PostgreSQL flushes all its files at its start, one by one; where the system can do it at once, that is quicker.
        stage.superuser().await.execute("alter system set recovery_init_sync_method = 'syncfs'").await.ok();
        stage
    }

    /// Where the server is now, for clients that follow it.
    pub fn address(&self) -> watch::Receiver<String> {
        self.address.subscribe()
    }

    /// A client of the server as it is now.
    pub fn visitor(&self) -> Visitor {
        Visitor::of(self.address.borrow().clone())
    }

    /// Starts the server, which finds or starts its PostgreSQL, and waits until it listens.
    pub async fn start(&mut self) {
        let mut served = self.home.serve(&[]);
        let url = served.listening().await.url;
        self.served = Some(served);
        self.address.send_replace(url);
    }

    /// Starts the server and kills it in the middle of its start.
    async fn start_in_vain(&mut self, after: Duration) {
        let served = self.home.serve(&[]);
        sleep(after).await;
        served.kill();
        self.server_kills += 1;
    }

    /// Kills the server; its PostgreSQL lives on.
    pub fn kill_server(&mut self) {
        self.served.take().expect("it was started").kill();
        self.server_kills += 1;
    }

    /// Kills PostgreSQL at this moment; its server lives on.
    pub async fn kill_postgres(&mut self, moment: impl Future<Output = ()>) {
        self.home.kill_postgres(moment).await;
        self.postgres_kills += 1;
    }

    /// One turn, which ends with both up: at this moment the server is killed, or PostgreSQL beneath it.
    pub async fn strike(&mut self, server: bool, moment: impl Future<Output = ()>, dice: &mut Dice) {
        let pause = |dice: &mut Dice, most: usize| Duration::from_millis(dice.below(most) as u64);
        if server {
            moment.await;
            self.kill_server();
        } else {
            self.kill_postgres(moment).await;
            if dice.chance(70) {
                // The server lives on, fails for a while, and must start another one by itself.
                until("PostgreSQL", async || self.home.superuser().await).await;
                return;
            }
            self.kill_server();
        }
        if dice.chance(15) {
            self.start_in_vain(pause(dice, 500)).await;
        }
        self.start().await;
    }

    /// A connection of the superuser.
    pub async fn superuser(&self) -> PgConnection {
        until("PostgreSQL", async || self.home.superuser().await).await
    }

    /// A checker of its log.
    pub fn checker(&self) -> LogChecker {
        LogChecker::of_jobs_by(&self.home.data().join("keys"))
    }

    /// A node in this process over the same database and data.
    pub async fn node(&self) -> Node {
        let url = self.home.application_url().expect("PostgreSQL runs");
        let options = NodeOptions {
            database_url: &url,
            pool: database::pool(&url, 12).await.expect("the application connects"),
            data: &self.home.data(),
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

    /// Signs people up. Every other one is poor and has to live off small lots; the rest have enough.
    pub async fn members(&self, number: usize) -> Vec<Member> {
        let mailbox = Mailbox::open(&self.home.data().join("mailbox")).expect("the mailbox is a folder");
        let (visitor, names) = (self.visitor(), (0..number).map(|n| format!("member{n}")).collect::<Vec<_>>());
        let mut members = Vec::new();
        for names in names.chunks(8) {
            members.extend(join_all(names.iter().map(|name| enrol(&visitor, &mailbox, name))).await);
        }
        let node = self.node().await;
        for (number, member) in members.iter().enumerate() {
            let lots: &[i64] = if number % 2 == 0 { &[1_000_000, 1_000_000] } else { &[250, 250, 250] };
            grant(&node, member.account, lots).await;
        }
        assert!(node.stop().await, "everything that was begun ends in time");
        members
    }
}
