//! Once nothing is left to do: what is shown equals the log's fold, and every read model equals its rebuild from zero (G5, L18, L19).

use std::time::Duration;

use atelier_projections::models::all;
use atelier_server::node::Node;
use serde_json::json;
use sqlx::PgPool;
use tokio::time::timeout;

use super::log_checker::LogChecker;
use super::members::Member;
use super::stage::Stage;
use crate::harness::process::until;
use crate::harness::visitor::Visitor;

/// How long it may take until nothing is left to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a process has nothing left to do; what is left is told.
pub async fn at_rest(stage: &Stage) {
    let (mut superuser, mut left) = (stage.superuser().await, Vec::new());
    let rest = until("the studio at rest", async || {
        let under_way = "select 'work ' || id || coalesce(' leased for another ' || (leased_until - now())::text, '') from process_work \
                             where due_at <= clock_timestamp() or leased_until > clock_timestamp() \
                         union all select name || ' at ' || position || ' ' || state from checkpoints \
                             where position < (select max(position) from events)";
        left =
            sqlx::query_scalar::<_, String>(under_way).fetch_all(&mut superuser).await.expect("the database answers");
        left.is_empty().then_some(())
    });
    let rested = timeout(PATIENCE, rest).await.is_ok();
    assert!(rested, "still under way: {left:#?}");
}

/// What every member is shown is what a plain sum over the log says.
pub async fn balances_are_shown(visitor: &Visitor, members: &[Member], checker: &LogChecker) {
    for member in members {
        let shown = visitor.graphql(Some(&member.token), "{ me { credits { available held } } }", json!({})).await;
        let (available, held) = checker.ledgers.balance(&member.ledger());
        assert_eq!(shown["credits"], json!({ "available": available, "held": held }), "L18");
    }
}

/// Rebuilds every read model from zero and compares it with what was followed live, through all that happened.
pub async fn rebuilt_equals_followed(node: &Node, pool: &PgPool) {
    drained(node).await;
    let stopped: i64 = sqlx::query_scalar("select count(*) from checkpoints where state <> 'running'")
        .fetch_one(pool)
        .await
        .expect("checkpoints");
    assert_eq!(stopped, 0, "nobody stopped at an event");
    let followed = dump(pool).await;
    for projection in all() {
        node.studio.runner.rebuild(projection.name(), |_, _| {}).await.expect("a rebuild takes over");
    }
    drained(node).await;
    assert_eq!(dump(pool).await, followed, "G5: (table, rows, digest), rebuilt and followed");
}

async fn drained(node: &Node) {
    until("the node at rest", async || node.studio.at_rest().await.expect("the database answers").then_some(())).await;
}

/// Each table of each read model: how many rows, and a digest of them in a defined order.
async fn dump(pool: &PgPool) -> Vec<(&'static str, i64, String)> {
    let mut tables = Vec::new();
    for table in all().iter().flat_map(|projection| projection.tables()) {
        let sql = format!(
            "select count(*), md5(coalesce(string_agg(t::text, E'\\n' order by t::text collate \"C\"), '')) from read_models.{table} t"
        );
        let (rows, digest) = sqlx::query_as(&sql).fetch_one(pool).await.expect("a digest");
        tables.push((*table, rows, digest));
    }
    tables
}
