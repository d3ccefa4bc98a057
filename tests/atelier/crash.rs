//! What was acknowledged survives: kills under load, answers that are cut off, races for the last credits, reading one's own writes
//! (REQUIREMENTS part 6: G1, G2, G3, G5, G13). Sizes come from the environment: `make soak` runs the same tests, larger.

mod client;
mod cut_replies;
pub mod dice;
mod job_rules;
mod journal;
mod kills;
mod ledger_rules;
pub mod log_checker;
mod lossy_commits;
pub mod members;
mod planted;
mod races;
mod read_your_writes;
pub mod settled;
mod stage;

use atelier_server::config::AccessConfig;
use atelier_server::connections::ConnectionLimits;
use atelier_server::database;
use atelier_server::node::{Node, NodeOptions};
use atelier_server::open_sockets::SocketLimits;

use crate::harness::TestStudio;

/// How often, how many: a variable of `make soak`, or what `make test` has time for.
pub fn size(variable: &str, otherwise: usize) -> usize {
    let wrong = || panic!("{variable} must be a number");
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| wrong()))
}

/// A line of the soak's summary; without `--nocapture` it is shown only when the test fails.
pub fn tell(line: &str) {
    eprintln!("soak: {line}");
}

/// A second node over a studio's database and data, which appends by this URL.
pub async fn another_node(studio: &TestStudio, database_url: &str) -> Node {
    let options = NodeOptions {
        database_url,
        pool: database::pool(&studio.database.url, 6).await.expect("the application connects"),
        data: studio.data.path(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        public_url: None,
        development: true,
        access: AccessConfig::default(),
        smtp: None,
        api: studio.node.studio.write.api.as_ref().clone(),
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
