//! A poison event costs one account in one follower, and nothing else; a retry makes it whole again, byte for byte (DESIGN 5).

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::AccountId;
use atelier_projections::models::all;
use atelier_projections::{Feed, Runner, RunnerOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool};

use super::{Following, at_head, dump_all};
use crate::harness::TestDatabase;

mod aggregates;
mod carried;
mod killed;
mod odd_rows;
mod processes;
mod rebuilds;
mod stops;
mod studio;

/// A runner of every read model.
fn runner(pool: &PgPool, batch: usize) -> Arc<Runner> {
    let options = RunnerOptions { batch, rest: Duration::from_millis(1), ..RunnerOptions::default() };
    Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), all(), options))
}

fn names() -> Vec<&'static str> {
    all().iter().map(|model| model.name()).collect()
}

async fn as_owner(database: &TestDatabase, sql: &str) {
    let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
    owner.execute(sql).await.expect("the statement runs");
    owner.close().await.expect("the owner leaves");
}

/// As before anything was followed.
async fn forget(database: &TestDatabase) {
    as_owner(database, "delete from checkpoints").await;
    for table in all().iter().flat_map(|model| model.tables()) {
        as_owner(database, &format!("truncate read_models_a.{table}, read_models_b.{table}")).await;
    }
}

/// Puts another payload in an event's place, and says what it was: as a release leaves a log that the next one cannot decode.
async fn replace(database: &TestDatabase, position: i64, payload: &str) -> String {
    let was = sqlx::query_scalar("select payload::text from events where position = $1").bind(position);
    let was: String = was.fetch_one(&database.pool).await.expect("an event");
    let payload = payload.replace('\'', "''");
    let change = format!(
        "alter table events disable trigger all; update events set payload = '{payload}' where position = {position}; \
         alter table events enable trigger all"
    );
    as_owner(database, &change).await;
    was
}

/// What no release decodes.
const POISON: &str = r#"{"NoSuchEvent":{}}"#;

/// Every row of every read model, but for those of one account.
async fn of_others(pool: &PgPool, account: AccountId) -> Vec<(&'static str, String)> {
    let account = account.to_string();
    let without = |rows: String| rows.lines().filter(|row| !row.contains(&account)).collect::<Vec<_>>().join("\n");
    dump_all(pool).await.into_iter().map(|(name, rows)| (name, without(rows))).collect()
}

/// What is in quarantine: follower, subject, position, kind.
async fn parked(pool: &PgPool) -> Vec<(String, String, i64, String)> {
    let parked = "select follower, subject, position, kind from quarantine order by follower, subject";
    sqlx::query_as(parked).fetch_all(pool).await.expect("the quarantine answers")
}

async fn states(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("select distinct state from checkpoints order by 1").fetch_all(pool).await.expect("checkpoints")
}

/// Follows to the head on two nodes, which go on.
async fn two_nodes(pool: &PgPool) -> Vec<Following> {
    let mut following = Vec::new();
    for _ in 0..2 {
        let runner = runner(pool, 7);
        runner.register().await.expect("checkpoints");
        following.push(Following::start(&runner));
    }
    at_head(pool, &names()).await;
    following
}

async fn stopped(following: Vec<Following>) {
    for one in following {
        one.stop().await;
    }
}
