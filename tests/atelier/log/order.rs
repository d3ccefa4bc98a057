//! Property 1 under load: dense, commit-ordered positions, whatever the number of writers, nodes, aborts and readers.

use std::collections::HashMap;
use std::sync::Arc;

use atelier_commands::event_store::{AppendError, Appended, EventStore, PostgresEventStore};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgPool;
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::appends::{append, append_many, append_payload, fresh_id, ids, stream, written};
use super::follower::Follower;
use super::test_log::{TestLog, until};

const NODES: usize = 8;
const WRITERS: usize = 32;
const ROUNDS: usize = 24;
const ABORTERS: usize = 4;
const READERS: usize = 4;

/// Calls an append function of SQL with one event for a new stream; its verdict and position.
pub async fn call_sql(connection: &mut PgConnection, function: &str, id: &str) -> (String, Option<i64>) {
    let sql = format!(
        "select replace(verdict, 'all_written', 'written'), last_position from {function}(array[0], array['Sample'], array[$1], array[1::bigint], array['Happened'], \
         array['1'], array['{{}}'], array['{{}}'], array[$2], array[now()], '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')"
    );
    sqlx::query_as(&sql).bind(id).bind(fresh_id()).fetch_one(connection).await.expect("the function answers")
}

/// One writer: what it wrote, by the position of each append's last event.
async fn write(node: Arc<PostgresEventStore>, writer: usize) -> HashMap<i64, Vec<Uuid>> {
    let own = format!("own-{writer}");
    let mut acknowledged = HashMap::new();
    let mut sequence = 0;
    for round in 0..ROUNDS {
        let attempt = match round % 6 {
            1 => append(&own, 0),
            3 => append_payload(&own, sequence, if writer.is_multiple_of(2) { "{" } else { "\"\0\"" }),
            5 => {
                let hot = node.load(&stream("hot"), 0).await.expect("the log can be read");
                append("hot", hot.last().map_or(0, |event| event.sequence))
            }
            _ => append_many(&own, sequence, 1 + round % 3),
        };
        let ids = ids(&attempt);
        match (round % 6, node.append(attempt).await) {
            (1, verdict) => assert_eq!(verdict, Err(AppendError::Conflict), "the stream exists"),
            (3, verdict) => assert!(matches!(verdict, Err(AppendError::Rejected(_))), "{verdict:?}"),
            (5, Err(AppendError::Conflict)) => {}
            (5, verdict) => assert!(acknowledged.insert(written(verdict).number, ids).is_none()),
            (_, Ok(Appended::Written { position })) => {
                sequence += i64::try_from(ids.len()).expect("a small append");
                assert!(acknowledged.insert(position.number, ids).is_none());
            }
            (_, other) => panic!("only this writer appends to {own}: {other:?}"),
        }
    }
    acknowledged
}

/// Transactions that append and then go back on it, by a rollback or by an error.
pub async fn abort(url: String, aborter: usize) {
    let mut connection = PgConnection::connect(&url).await.expect("the application connects");
    for round in 0..ROUNDS {
        let mut transaction = connection.begin().await.expect("a transaction");
        let (verdict, _) = call_sql(&mut transaction, "append_events", &format!("aborted-{aborter}-{round}")).await;
        assert_eq!(verdict, "written");
        if round % 2 == 0 {
            transaction.execute("select 1 / 0").await.expect_err("a division by zero");
        }
        transaction.rollback().await.expect("it is rolled back");
    }
}

/// Reads on and on until the writers are done and the head is reached.
pub async fn follow(pool: PgPool, done: CancellationToken) -> Follower {
    let mut follower = Follower::of("events");
    loop {
        let last_look = done.is_cancelled();
        let before = follower.last();
        follower.read_on(&pool).await.expect("every position once, in order, none missing, none late");
        if last_look && follower.last() == before {
            return follower;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p6_p7_positions_are_dense_and_commit_ordered_under_32_writers_with_aborts() {
    let log = TestLog::fresh().await;
    let nodes: Vec<_> = (0..NODES).map(|_| log.node()).collect();
    let done = CancellationToken::new();
    let mut readers = JoinSet::new();
    (0..READERS).for_each(|_| drop(readers.spawn(follow(log.database.pool.clone(), done.clone()))));
    let mut aborters = JoinSet::new();
    (0..ABORTERS).for_each(|aborter| drop(aborters.spawn(abort(log.database.url.clone(), aborter))));
    let mut writers = JoinSet::new();
    (0..WRITERS).for_each(|writer| drop(writers.spawn(write(nodes[writer % NODES].clone(), writer))));
    let acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    aborters.join_all().await;
    done.cancel();

    let all = log.dense_ids().await;
    assert_eq!(
        all.len(),
        acknowledged.iter().map(|(_, ids)| ids.len()).sum::<usize>(),
        "nothing but what was acknowledged"
    );
    for (last, ids) in acknowledged {
        let end = usize::try_from(last).expect("a positive position");
        assert_eq!(all[end - ids.len()..end], ids, "an append's events stand together, up to its position");
    }
    for follower in readers.join_all().await {
        assert!(follower.seen == all, "every reader saw the log as it stands");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_recorded_at_does_not_run_back_when_the_clock_does() {
    let log = TestLog::fresh().await;
    // As if the server's clock had been an hour ahead and was set right.
    let ahead = "insert into events values ('Sample', 'ahead', 1, 'Happened', '1', '{}', '{}', 1, gen_random_uuid(), now(), \
                 now() + interval '1 hour') returning recorded_at";
    let ahead: DateTime<Utc> =
        sqlx::query_scalar(ahead).fetch_one(&mut log.superuser().await).await.expect("the superuser may");
    let node = log.node();
    written(node.append(append("one", 0)).await);
    written(node.append(append("one", 1)).await);
    let mut follower = Follower::of("events");
    follower.read_on(&log.database.pool).await.expect("dense, and time does not run back");
    assert_eq!(follower.last(), 3);
    assert!(
        log.rows().await.iter().all(|row| row.recorded_at == ahead),
        "it stands still until the clock has caught up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p6_a_database_of_another_isolation_level_makes_no_false_conflicts() {
    let log = TestLog::fresh().await;
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&log.database.pool).await.expect("a name");
    let alter = format!("alter database {name} set default_transaction_isolation = 'repeatable read'");
    log.superuser().await.execute(alter.as_str()).await.expect("the superuser may");
    let nodes = [log.node(), log.node()];
    let held = log.hold().await;
    // Both calls begin before either may write: under another level both would number from the same head.
    let mut answers = JoinSet::new();
    for (number, node) in nodes.into_iter().enumerate() {
        answers.spawn(async move { node.append(append(&format!("s{number}"), 0)).await });
    }
    log.until_blocked(2).await;
    held.release().await;
    let mut positions: Vec<i64> = answers.join_all().await.into_iter().map(|verdict| written(verdict).number).collect();
    positions.sort_unstable();
    assert_eq!(positions, [1, 2]);
    until("nobody waits any more", async || log.blocked().await.is_empty()).await;
}
