//! A read model that counts events into rows without any care of its own, and ways to make it misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::Envelope;
use atelier_projections::{Feed, Projection, Runner, RunnerOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::harness::TestDatabase;

/// One row an event. At the position `pause` it first writes, then waits for a line on standard input; above `skip` it folds only
/// every second event.
pub struct Counted {
    pub version: i32,
    pub pause: AtomicI64,
    pub skip: i64,
}

impl Counted {
    pub fn plain() -> Arc<Self> {
        Arc::new(Self { version: 1, pause: AtomicI64::new(i64::MAX), skip: i64::MAX })
    }
}

/// The name.
pub const NAME: &str = "Counted";

#[async_trait]
impl Projection for Counted {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn tables(&self) -> &'static [&'static str] {
        if self.version == 1 { &["counted_v1"] } else { &["counted_v2"] }
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let kept = |position: &i64| *position < self.skip || position % 2 == 0;
        let positions: Vec<i64> = events.iter().map(|event| event.position).filter(kept).collect();
        let insert = format!("insert into {} (position) select * from unnest($1::bigint[])", self.tables()[0]);
        let (before, after) = positions.split_at(positions.len() / 2);
        sqlx::query(&insert).bind(before).execute(&mut *connection).await?;
        let pause = self.pause.load(Ordering::Relaxed);
        if events.last().is_some_and(|event| event.position >= pause) {
            self.pause.store(i64::MAX, Ordering::Relaxed);
            super::child::pause(connection).await?;
        }
        sqlx::query(&insert).bind(after).execute(&mut *connection).await?;
        Ok(())
    }
}

/// A runner for one.
pub fn runner(pool: &PgPool, projection: Arc<Counted>, batch: usize, bound: Duration) -> Arc<Runner> {
    let options = RunnerOptions { batch, rest: Duration::from_millis(2), bound };
    Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), vec![projection], options))
}

/// A database with `count` events, and the tables of both versions; their rows have no key.
pub async fn database(count: i64) -> TestDatabase {
    let database = TestDatabase::fresh().await;
    let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
    for version in [1, 2] {
        let add = format!(
            "create table read_models_a.counted_v{version} (position bigint not null); \
             select add_read_model('{NAME}', {version}, 'counted_v{version}')"
        );
        owner.execute(add.as_str()).await.expect("a read model");
    }
    owner.close().await.expect("the owner leaves");
    if count > 0 {
        super::append(&database.pool, 1, count, r#"{"EmailVerified":{}}"#).await;
    }
    database
}

/// How many rows there are, how many positions, and the last of them.
pub async fn rows(pool: &PgPool, table: &str) -> (i64, i64, i64) {
    let sql = format!("select count(*), count(distinct position), coalesce(max(position), 0) from {table}");
    sqlx::query_as(&sql).fetch_one(pool).await.expect("a count")
}
