//! Property 1 while everything goes wrong at once: 64 writers on a few streams, backends ended, transactions taken back, inserts delayed;
//! and a writer that dies between the lock and the commit.

use std::sync::Arc;

use atelier_commands::event_store::EventStore;
use sqlx::Executor;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::appends::{append, ids, written};
use super::order::{abort, follow};
use super::racers::{Acknowledged, assert_streams, race};
use super::test_log::{TestLog, queued, until};
use crate::crash::{size, tell};

const NODES: usize = 8;
const WRITERS: usize = 64;
const READERS: usize = 3;
const ABORTERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn p1_p6_p8_64_writers_on_few_streams_with_kills_aborts_and_delays() {
    let log = Arc::new(TestLog::fresh().await);
    let delay = "create function delay() returns trigger language plpgsql as $$ begin \
             if random() < 0.01 then perform pg_sleep(0.02); end if; return new; end $$; \
         create trigger delay before insert on events for each row execute function delay()";
    log.superuser().await.execute(delay).await.expect("the superuser may");
    let nodes: Vec<Arc<dyn EventStore>> = (0..NODES).map(|_| log.node() as Arc<dyn EventStore>).collect();
    let (done, enough) = (CancellationToken::new(), CancellationToken::new());
    let mut readers = JoinSet::new();
    (0..READERS).for_each(|_| drop(readers.spawn(follow(log.database.pool.clone(), done.clone()))));
    let mut aborters = JoinSet::new();
    (0..ABORTERS).for_each(|aborter| drop(aborters.spawn(abort(log.database.url.clone(), aborter))));
    let killer = {
        let (log, enough) = (log.clone(), enough.clone());
        tokio::spawn(async move {
            let mut ended = 0;
            while !enough.is_cancelled() {
                ended += log.terminate_one_writer().await;
            }
            ended
        })
    };
    let appends = size("ATELIER_SOAK_APPENDS", 6);
    let acknowledged = race(&nodes, WRITERS, appends).await;
    enough.cancel();
    let ended = killer.await.expect("it ends");
    aborters.join_all().await;
    done.cancel();
    assert!(ended >= 10, "only {ended} backends were ended");
    let events = WRITERS * (appends + appends / 2);
    assert_streams(nodes[0].as_ref(), events).await;
    let all = log.dense_ids().await;
    assert_eq!((acknowledged.len(), all.len()), (WRITERS * appends, events), "nothing but what was acknowledged");
    for Acknowledged { position, event_id } in acknowledged {
        assert_eq!(all[usize::try_from(position).expect("a position") - 1], event_id, "where it was said to be");
    }
    for follower in readers.join_all().await {
        assert!(follower.seen == all, "every reader saw every position once, in order");
    }
    tell(&format!(
        "G4 log: {events} events by {WRITERS} writers, {ended} backends ended, {READERS} readers saw every position once"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p8_a_writer_that_dies_between_the_lock_and_the_commit_leaves_no_gap_and_holds_nobody_up() {
    let log = TestLog::fresh().await;
    let linger = "create function linger() returns trigger language plpgsql as $$ begin \
             perform pg_advisory_xact_lock_shared(1); return new; end $$; \
         create trigger linger before insert on events for each row when (new.event_type = 'Lingered') execute function linger()";
    let mut superuser = log.superuser().await;
    superuser.execute(linger).await.expect("the superuser may");
    superuser.execute("select pg_advisory_lock(1)").await.expect("the lock is free");
    let [dying, one, two] = [log.node(), log.node(), log.node()];
    let mut lingering = append("lingering", 0);
    lingering.events[0].event_type = "Lingered".to_owned();
    let expected = ids(&lingering)[0];
    let lingering = queued(&dying, lingering).await;
    log.until_blocked(1).await;
    let behind = [queued(&one, append("one", 0)).await, queued(&two, append("two", 0)).await];
    log.until_blocked(3).await;
    assert!(log.rows().await.is_empty(), "it has the lock, and its events are there for nobody");
    let end = "select count(*) filter (where pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and granted \
               and (classid::bigint << 32 | objid::bigint) = 4713951028541 \
               and database = (select oid from pg_database where datname = current_database())";
    let ended: i64 = sqlx::query_scalar(end).fetch_one(&mut superuser).await.expect("the superuser may");
    assert_eq!(ended, 1);
    let mut positions = Vec::new();
    for verdict in futures::future::join_all(behind).await {
        positions.push(written(verdict).number);
    }
    positions.sort_unstable();
    assert_eq!(positions, [1, 2], "the lock went with it, and it had used no position up");
    until("it is sent again", async || log.blocked().await.len() == 1).await;
    superuser.execute("select pg_advisory_unlock(1)").await.expect("the lock is ours");
    assert_eq!(written(lingering.await).number, 3);
    assert_eq!(log.dense_ids().await[2..], [expected], "once");
}
