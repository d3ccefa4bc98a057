//! Group commit (property 3), and that in a batch only what must fail fails: a conflict and what stands on it, a poisonous payload
//! (properties 2 and 8).

use std::sync::Arc;

use atelier_commands::event_store::{Append, AppendError, EventStore, PostgresEventStore};
use futures::future::join_all;
use sqlx::Executor;

use super::appends::{Verdict, append, append_many, append_payload, ids, on_top_of, written};
use super::test_log::{TestLog, queued};

/// Answers to appends that all waited while the writer was busy with one in front of them, and so went as one batch.
async fn in_one_batch(log: &TestLog, node: &Arc<PostgresEventStore>, appends: Vec<Append>) -> Vec<Verdict> {
    let held = log.hold().await;
    let plug = queued(node, append("plug", 0)).await;
    log.until_blocked(1).await;
    let mut waiting = Vec::new();
    for append in appends {
        waiting.push(queued(node, append).await);
    }
    held.release().await;
    written(plug.await);
    join_all(waiting).await
}

fn conflicts(verdicts: &[Verdict]) -> Vec<usize> {
    (0..verdicts.len()).filter(|&number| verdicts[number] == Err(AppendError::Conflict)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_whatever_waits_becomes_one_durable_commit_in_the_order_it_came() {
    let log = TestLog::fresh().await;
    // The tests' server does not commit synchronously by default: the appender must ask for it. The trigger hears what it has.
    let listen = "create table heard (durability text, isolation text); grant insert on heard to public; \
         create function hear() returns trigger language plpgsql as $$ begin \
             insert into heard values (current_setting('synchronous_commit'), current_setting('transaction_isolation')); \
             return null; end $$; \
         create trigger hear after insert on events for each statement execute function hear()";
    log.superuser().await.execute(listen).await.expect("the superuser may");
    let default: String =
        sqlx::query_scalar("show synchronous_commit").fetch_one(&log.database.pool).await.expect("a setting");
    assert_eq!(default, "off", "else this proves nothing");

    let appends: Vec<Append> = (0..100).map(|number| append_many(&format!("s{number}"), 0, 1 + number % 3)).collect();
    let sent: Vec<_> = appends.iter().flat_map(ids).collect();
    let verdicts = in_one_batch(&log, &log.node(), appends).await;
    assert!(verdicts.into_iter().map(|verdict| written(verdict).number).is_sorted());
    assert_eq!(log.dense_ids().await[1..], sent, "in the order it came");
    let transactions = "select count(distinct xmin::text) from events where position > 1";
    let transactions: i64 = sqlx::query_scalar(transactions).fetch_one(&log.database.pool).await.expect("a count");
    assert_eq!(transactions, 1, "100 appends, one commit");
    let mut superuser = log.superuser().await;
    let heard: Vec<(String, i64)> =
        sqlx::query_as("select durability || ', ' || isolation, count(*) from heard group by 1")
            .fetch_all(&mut superuser)
            .await
            .expect("what was heard");
    assert_eq!(heard, [("on, read committed".to_owned(), 2)], "both commits were synchronous");
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_in_a_batch_a_conflict_fails_alone_with_what_stands_on_it() {
    let log = TestLog::fresh().await;
    let node = log.node();
    written(node.append(append_many("old", 0, 2)).await);
    let mut appends: Vec<Append> = (0..20).map(|number| append(&format!("s{number}"), 0)).collect();
    // Decided on one event of two: a conflict. The next is decided on top of it, and its place in the stream is free.
    appends[7] = append("old", 1);
    appends[12] = append("old", 2);
    // Pipelined on a good neighbour: stays good.
    appends[15] = append_many("s4", 1, 3);
    let expected: Vec<_> = appends
        .iter()
        .enumerate()
        .filter(|(number, _)| ![7, 12].contains(number))
        .flat_map(|(_, one)| ids(one))
        .collect();
    let verdicts = in_one_batch(&log, &node, appends).await;
    assert_eq!(conflicts(&verdicts), [7, 12]);
    let good: Vec<_> = verdicts.into_iter().filter(Result::is_ok).map(|verdict| written(verdict).number).collect();
    assert!(good.len() == 18 && good.is_sorted(), "the neighbours are written: {good:?}");
    assert_eq!(log.dense_ids().await[3..], expected);
    let rows = log.rows().await;
    assert!(rows[3..].iter().all(|row| row.recorded_at == rows[3].recorded_at), "it was one batch");
    // The stream is not spoilt for the next batch.
    written(node.append(append("old", 2)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_in_a_batch_a_poisonous_payload_is_rejected_alone() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let mut appends: Vec<Append> = (0..20).map(|number| append(&format!("s{number}"), 0)).collect();
    appends[3] = append_payload("poisoned", 0, "{\"half\":");
    appends[9] = append_payload("s9", 0, "\"a\0b\"");
    appends[11].events[0].metadata = "not JSON".to_owned();
    appends[13] = append("s13", -1);
    // Decided on top of the poisonous one: it would leave a hole in the stream.
    appends[17] = append("poisoned", 1);
    let poison = [3, 9, 11, 13];
    let expected: Vec<_> = (0..20)
        .filter(|number| !poison.contains(number) && *number != 17)
        .flat_map(|number| ids(&appends[number]))
        .collect();
    let verdicts = in_one_batch(&log, &node, appends).await;
    for (number, verdict) in verdicts.into_iter().enumerate() {
        match verdict {
            Err(AppendError::Rejected(reason)) => {
                assert!(poison.contains(&number), "{number}");
                assert!(!reason.contains("half") && !reason.contains("JSON"), "a reason quotes no value: {reason}");
            }
            Err(AppendError::Conflict) => assert_eq!(number, 17),
            verdict => assert!(written(verdict).number > 0 && !poison.contains(&number) && number != 17, "{number}"),
        }
    }
    assert_eq!(log.dense_ids().await[1..], expected);
    written(node.append(append("poisoned", 0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_d3_what_stands_on_a_poisonous_append_fails_with_it_and_everybody_else_is_written() {
    let log = TestLog::fresh().await;
    let node = log.node();
    // Two rows, each append decided on the one in front of it; one of them is poisoned in its middle.
    let mut appends = Vec::new();
    let mut last = [None, None];
    for number in 0..20_i64 {
        for (row, last) in last.iter_mut().enumerate() {
            let payload = if (row, number) == (1, 11) { "{\"half\":" } else { "{}" };
            let next = append_payload(&format!("row-{row}"), number, payload);
            let next = if let Some(last) = *last { on_top_of(last, next) } else { next };
            *last = Some(ids(&next)[0]);
            appends.push(next);
        }
    }
    let verdicts = in_one_batch(&log, &node, appends.clone()).await;
    let mut good = Vec::new();
    for (place, (append, verdict)) in appends.iter().zip(verdicts).enumerate() {
        let (row, number) = (place % 2, place / 2);
        match (row, number) {
            (1, 11) => assert!(matches!(verdict, Err(AppendError::Rejected(_))), "{verdict:?}"),
            (1, 12..) => assert_eq!(verdict, Err(AppendError::Conflict), "{number}"),
            _ => good.push((written(verdict).number, ids(append)[0])),
        }
    }
    good.sort_unstable();
    assert_eq!(log.dense_ids().await[1..], good.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    assert_eq!(good.len(), 20 + 11);
    // The row goes on where it broke off.
    let last = ids(&appends[2 * 10 + 1])[0];
    written(node.append(on_top_of(last, append("row-1", 11))).await);
}

/// One append is on its way, and in the batch behind it another that was decided on it, when another node's event takes the place of the
/// first. What came to the two, and to an append to another stream in the second's batch.
pub async fn standing_on_a_lost_place(log: &TestLog) -> Vec<Verdict> {
    let (node, other) = (log.node(), log.node());
    let held = log.hold().await;
    let theirs = queued(&other, append("one", 0)).await;
    log.until_blocked(1).await;
    let first = append("one", 0);
    let second = on_top_of(ids(&first)[0], append("one", 1));
    let first = queued(&node, first).await;
    log.until_blocked(2).await;
    let rest = [queued(&node, second).await, queued(&node, append("beside", 0)).await];
    held.release().await;
    written(theirs.await);
    join_all([first].into_iter().chain(rest)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_p2_p6_what_stands_on_an_append_of_an_earlier_batch_fails_when_another_node_took_its_place() {
    let log = TestLog::fresh().await;
    let verdicts = standing_on_a_lost_place(&log).await;
    assert_eq!(verdicts[..2], [Err(AppendError::Conflict), Err(AppendError::Conflict)]);
    written(verdicts[2].clone());
    assert_eq!(log.dense_ids().await.len(), 2);
    // When nobody takes the place, both are written.
    let node = log.node();
    let held = log.hold().await;
    let first = append("two", 0);
    let second = on_top_of(ids(&first)[0], append("two", 1));
    let first = queued(&node, first).await;
    log.until_blocked(1).await;
    let second = queued(&node, second).await;
    held.release().await;
    assert_eq!((written(first.await).number, written(second.await).number), (3, 4));
}
