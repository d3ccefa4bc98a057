//! What nodes that have nothing to do ask of their database.

use std::time::Duration;

use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE, EmbeddedOptions, EmbeddedPostgres, OWNER_ROLE};
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::time::Instant;

use crate::harness::process::{Home, until};

/// The most statements of an idle node a second.
const MOST: f64 = 2.0;
/// How long they are counted.
const COUNTED: Duration = Duration::from_secs(20);
/// Looks that nothing was found at come less and less often for so long.
const BACKED_OFF: Duration = Duration::from_secs(25);

async fn passed(time: Duration) {
    let until_then = Instant::now() + time;
    until("the time to pass", async || (Instant::now() >= until_then).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_two_idle_nodes_cost_two_statements_a_second_each_at_most() {
    let home = Home::open().await;
    let preload = ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned());
    let folder = home.data().join("postgres");
    let options = EmbeddedOptions { folder, durable: true, extra_settings: vec![preload] };
    let postgres = EmbeddedPostgres::start(options).await.expect("PostgreSQL with its contributed modules");
    let mut admin = PgConnection::connect(&postgres.superuser_url(DATABASE)).await.expect("the superuser connects");
    admin.execute("create extension pg_stat_statements").await.expect("it is installed");
    let environment = [
        ("DATABASE_URL".to_owned(), postgres.url(APPLICATION_ROLE, DATABASE)),
        ("ATELIER_OWNER_URL".to_owned(), postgres.url(OWNER_ROLE, DATABASE)),
    ];
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let mut node = home.start(&["serve", "--listen", "127.0.0.1:0"], &environment);
        node.listening().await;
        nodes.push(node);
    }
    passed(BACKED_OFF).await;
    admin.execute("select pg_stat_statements_reset()").await.expect("the superuser may");
    let begun = Instant::now();
    passed(COUNTED).await;
    let seconds = begun.elapsed().as_secs_f64();
    let counted = "select s.calls, left(s.query, 90) from pg_stat_statements s join pg_roles r on r.oid = s.userid \
                   where r.rolname = $1 order by s.calls desc";
    let counted = sqlx::query(counted).bind(APPLICATION_ROLE).fetch_all(&mut admin).await.expect("the counts");
    let told: Vec<(i64, String)> = counted.iter().map(|row| (row.get(0), row.get(1))).collect();
    let calls: i64 = told.iter().map(|(calls, _)| calls).sum();
    // Whoever counts nothing finds nothing.
    assert!(calls > 0, "the nodes live");
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let rate = calls as f64 / seconds / 2.0;
    eprintln!("{rate:.2} statements a second and node");
    assert!(rate <= MOST, "{rate:.2} statements a second and node: {told:#?}");
    for node in nodes {
        assert_eq!(node.stop("TERM").await.code, Some(0));
    }
    admin.close().await.expect("the superuser leaves");
    postgres.stop().await.expect("it stops");
}
