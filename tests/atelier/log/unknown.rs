//! Property 8: unknown outcomes end known. An answer lost after the commit, a log that does not answer until the deadline, and a
//! database that cannot be reached.

use std::time::Duration;

use atelier_commands::event_store::{Append, AppendError, Appended, EventStore, Position, WriterOptions};
use atelier_domain::AccountId;
use futures::future::join_all;
use sqlx::Executor;

use super::appends::{Verdict, append, append_many, fresh_id, ids, keyed, written};
use super::lossy_link::LossyLink;
use super::test_log::{HeldLock, TestLog, queued, until};

/// A writer that soon gives up.
fn impatient() -> WriterOptions {
    WriterOptions { deadline: Duration::from_secs(1), ..WriterOptions::default() }
}

/// Waits until no abandoned call is left on the server.
pub async fn settled(log: &TestLog) {
    until("no call of a writer runs any more", async || {
        let running = "select count(*) from pg_stat_activity where application_name = 'atelier-append' \
                       and datname = current_database() and state = 'active'";
        sqlx::query_scalar::<_, i64>(running).fetch_one(&log.database.pool).await.expect("the activity") == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_an_answer_lost_after_the_commit_is_asked_for_again_and_nothing_is_written_twice() {
    let log = TestLog::fresh().await;
    let link = LossyLink::to(&log.database.url).await;
    let node = log.node_at(&link.url, WriterOptions::default());
    // One batch with everything in it: what is written, a conflict, what stands on it, a key, its repeat, a pipelined append.
    let account = AccountId(fresh_id());
    let appends: Vec<Append> = vec![
        append_many("one", 0, 2),
        append("plug", 0),
        append("plug", 1),
        keyed(append("two", 0), account, "key", 1, "first"),
        append("one", 2),
        keyed(append("three", 0), account, "key", 1, "second"),
    ];
    let sent: Vec<_> = [0, 3, 4].iter().flat_map(|&number: &usize| ids(&appends[number])).collect();
    let held = log.hold().await;
    let plug = queued(&node, append("plug", 0)).await;
    log.until_blocked(1).await;
    let mut waiting = Vec::new();
    for append in appends {
        waiting.push(queued(&node, append).await);
    }
    // The first answer is the plug's, the second the batch's.
    link.lose_answer(2);
    held.release().await;
    written(plug.await);
    let verdicts: Vec<Verdict> = join_all(waiting).await;
    assert_eq!(link.lost(), 1);
    let positions: Vec<i64> = [0, 3, 4].map(|number: usize| written(verdicts[number].clone()).number).to_vec();
    assert_eq!(positions, [3, 4, 5]);
    assert_eq!(verdicts[1..3], [Err(AppendError::Conflict), Err(AppendError::Conflict)]);
    let position = Position { number: 4, ..written(verdicts[0].clone()) };
    let repeat = Appended::Repeat { result: "first".to_owned(), position };
    assert_eq!(verdicts[5], Ok(repeat));
    assert_eq!(log.dense_ids().await[1..], sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_log_that_does_not_answer_is_an_unknown_outcome_and_what_was_never_sent_a_known_one() {
    let log = TestLog::fresh().await;
    let node = log.node_with(impatient());
    let (first, second) = (append("one", 0), append("one", 1));
    let held = log.hold().await;
    let mut waiting = vec![queued(&node, first.clone()).await];
    log.until_blocked(1).await;
    waiting.push(queued(&node, second.clone()).await);
    waiting.push(queued(&node, append("two", 0)).await);
    let verdicts = join_all(waiting).await;
    let never_sent = Err(AppendError::Overloaded);
    assert_eq!(verdicts, [Err(AppendError::OutcomeUnknown), never_sent.clone(), never_sent], "none waits for ever");
    held.release().await;
    settled(&log).await;
    // Whether or not the abandoned call came through: asked again, the same append is there once, and the log goes on.
    assert_eq!(written(node.append(first.clone()).await).number, 1);
    assert_eq!(written(node.append(second.clone()).await).number, 2);
    assert_eq!(log.dense_ids().await, [ids(&first), ids(&second)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_an_answer_lost_before_the_database_goes_away_is_not_taken_for_a_refusal() {
    let log = TestLog::fresh().await;
    let link = LossyLink::to(&log.database.url).await;
    let node = log.node_at(&link.url, impatient());
    written(node.append(append("plug", 0)).await);
    let other = log.node();
    written(other.append(append("plug", 1)).await);
    log.allow_connections(false).await;
    link.lose_answer(1);
    let sent = append("one", 0);
    // The database refuses the new connection in so many words; that says nothing of the append in front of it.
    assert_eq!(node.append(sent.clone()).await, Err(AppendError::OutcomeUnknown));
    assert_eq!(link.lost(), 1);
    log.allow_connections(true).await;
    assert_eq!(written(other.append(sent.clone()).await).number, 3, "it was durable all the time");
    assert_eq!(written(node.append(sent.clone()).await).number, 3);
    assert_eq!(log.dense_ids().await[2..], ids(&sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_database_that_takes_no_connection_has_a_known_outcome_nothing_was_written() {
    let log = TestLog::fresh().await;
    log.database.pool.acquire().await.expect("the pool has a connection from before");
    let node = log.node_with(impatient());
    log.allow_connections(false).await;
    assert_eq!(node.append(append("one", 0)).await, Err(AppendError::Overloaded), "try again later");
    log.allow_connections(true).await;
    assert!(log.rows().await.is_empty());
    written(node.append(append("one", 0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_batch_taken_apart_keeps_to_its_one_deadline() {
    let log = TestLog::fresh().await;
    let node = log.node_with(impatient());
    // The poison works only when it is told to, so that the test is the next to get the append lock.
    let poison = "create function poison() returns trigger language plpgsql as $$ begin \
             perform pg_advisory_xact_lock_shared(1); raise exception 'planted'; end $$; \
         create trigger poison before insert on events for each row when (new.event_type = 'Poison') execute function poison()";
    let mut superuser = log.superuser().await;
    superuser.execute(poison).await.expect("the superuser may");
    superuser.execute("select pg_advisory_lock(1)").await.expect("the lock is free");
    let held = log.hold().await;
    let mut waiting = vec![queued(&node, append("plug", 0)).await];
    log.until_blocked(1).await;
    for number in 0..10 {
        let mut append = append(&format!("s{number}"), 0);
        append.events[0].event_type = if number == 9 { "Poison".to_owned() } else { "Happened".to_owned() };
        waiting.push(queued(&node, append).await);
    }
    held.release().await;
    log.until_blocked(1).await;
    let database = log.database.url.clone();
    let next = tokio::spawn(async move { HeldLock::take(&database).await });
    log.until_blocked(2).await;
    superuser.execute("select pg_advisory_unlock(1)").await.expect("the lock is ours");
    let held = next.await.expect("the lock is ours");
    let verdicts = join_all(waiting).await;
    let unknown = |verdict: &Verdict| *verdict == Err(AppendError::OutcomeUnknown);
    assert!(verdicts[1..6].iter().all(unknown), "the first half was sent, and not answered: {verdicts:?}");
    // A deadline for each piece would keep the last caller waiting for all of them, and send what nobody waits for any more.
    assert!(
        verdicts[6..].iter().all(|verdict| *verdict == Err(AppendError::Overloaded)),
        "the other half never was: {verdicts:?}"
    );
    held.release().await;
    settled(&log).await;
    let rows = log.rows().await;
    let sent = ["plug", "s0", "s1", "s2", "s3", "s4"];
    assert!(rows.iter().all(|row| sent.contains(&row.aggregate_id.as_str())), "{rows:?}");
}
