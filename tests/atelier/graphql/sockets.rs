//! `/graphql/ws`: the protocol and its bounds, what subscribers are told, and the end of sockets whose session is over (DESIGN 6, sec.S6).

mod bounds;
mod peer;
mod protocol;
mod resume;
mod revocation;
mod subscriptions;

use std::time::Duration;

use atelier_commands::NoticeTopic;
use atelier_commands::notices::{self, NewNotice};
use atelier_commands::use_cases::GrantCredits;
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{Credits, LedgerId, LotId};
use atelier_server::config::AccessConfig;
use atelier_server::connections::ConnectionLimits;
use atelier_server::database;
use atelier_server::node::{Node, NodeOptions};
use atelier_server::open_sockets::SocketLimits;
use uuid::Uuid;

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const BALANCE: &str = "subscription($after: String) { balanceChanged(after: $after) { available held position } }";
const NOTICES: &str = "subscription($after: String) { notifications(after: $after) { notices { id topic } position } }";
const GENERATION: &str = "subscription($id: ID!, $after: String) { generationUpdated(id: $id, after: $after) \
    { generation { id status creditsUsed images { url } creator { id } } position } }";

/// Bounds under which nothing is looked for now and then: a word, or the question before an event, is all there is.
fn without_looks() -> SocketLimits {
    SocketLimits { look: Duration::from_secs(3_600), ..SocketLimits::default() }
}

/// A second node over a studio's database and data.
async fn another_node(studio: &TestStudio, sockets: SocketLimits) -> (Node, String) {
    let options = NodeOptions {
        database_url: &studio.database.url,
        pool: database::pool(&studio.database.url, 6).await.expect("the application connects"),
        data: studio.data.path(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        public_url: None,
        development: true,
        access: AccessConfig::default(),
        smtp: None,
        api: studio.node.studio.write.api.as_ref().clone(),
        sockets,
        connections: ConnectionLimits::default(),
        generator: None,
        clock: None,
        operations: None,
        disks: Vec::new(),
        disk_reserve: 0,
    };
    let node = Node::start(options).await.expect("the node starts");
    let url = format!("http://{}", node.address);
    (node, url)
}

/// Gives somebody credits.
async fn grant(studio: &TestStudio, person: &Person, amount: i64) {
    let write = &studio.node.studio.write;
    let (ledger, lot) = (LedgerId::live(studio.account(person).await), LotId(write.fresh_id()));
    let reason = GrantReason::Gift;
    let grant = GrantCredits { ledger, lot, reason, amount: Credits::new(amount), expires_at: None };
    grant.run(write, &studio.operator()).await.expect("credits are granted");
}

/// Shows somebody a notice, as the work does; its id.
async fn notify(studio: &TestStudio, person: &Person) -> Uuid {
    let write = &studio.node.studio.write;
    let (notice_id, account) = (write.fresh_id(), studio.account(person).await);
    let notice = NewNotice { notice_id, account, topic: NoticeTopic::PasswordChanged, about: None, at: write.now() };
    notices::post(&write.pool, &notice).await.expect("it is shown");
    notice_id
}
