//! However the log is cut into batches, on however many nodes, followed or rebuilt: byte for byte the same tables (L19, G5).

use std::sync::Arc;
use std::time::Duration;

use atelier_projections::models::all;
use atelier_projections::{Feed, Runner, RunnerOptions};
use sqlx::{Connection, Executor, PgConnection};

use super::{Following, at_head, dump_all, rich_log};
use crate::harness::TestDatabase;

fn runner(database: &TestDatabase, batch: usize) -> Arc<Runner> {
    let options = RunnerOptions { batch, rest: Duration::from_millis(1), ..RunnerOptions::default() };
    Arc::new(Runner::new(database.pool.clone(), Feed::new(database.pool.clone()), all(), options))
}

/// As before anything was followed.
async fn forget(database: &TestDatabase) {
    let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
    owner.execute("delete from checkpoints").await.expect("no checkpoints");
    for table in all().iter().flat_map(|model| model.tables()) {
        let empty = format!("truncate read_models_a.{table}, read_models_b.{table}");
        owner.execute(empty.as_str()).await.expect("an empty table");
    }
    owner.close().await.expect("the owner leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn l19_g5_any_batch_size_on_any_number_of_nodes_gives_the_same_bytes() {
    let (database, _) = rich_log::database().await;
    let names: Vec<&str> = all().iter().map(|projection| projection.name()).collect();
    let mut first = None;
    for (nodes, batch) in [(1, 1_000), (1, 7), (1, 1), (3, 7)] {
        forget(&database).await;
        let mut following = Vec::new();
        for _ in 0..nodes {
            let runner = runner(&database, batch);
            runner.register().await.expect("checkpoints");
            following.push(Following::start(&runner));
        }
        at_head(&database.pool, &names).await;
        for one in following {
            one.stop().await;
        }
        let dumps = dump_all(&database.pool).await;
        assert!(dumps.iter().all(|(_, rows)| rows.contains('(')), "every read model has rows: {dumps:?}");
        assert_eq!(&dumps, first.get_or_insert_with(|| dumps.clone()), "{nodes} nodes, batches of {batch}");
    }
    for batch in [1_000, 7] {
        for name in &names {
            let rebuilt = runner(&database, batch).rebuild(name, |_, _| {}).await.expect("a rebuild");
            assert!(rebuilt.tables.iter().all(|table| table.same() == Some(true)), "{name}: {rebuilt:?}");
            assert!(!rebuilt.tables.is_empty());
        }
        assert_eq!(Some(dump_all(&database.pool).await), first, "rebuilt by batches of {batch}");
    }
}
