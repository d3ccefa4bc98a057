//! Property 8 while the writers' backends are ended: every acknowledged append is in the log exactly once.

use std::collections::HashSet;

use atelier_commands::event_store::EventStore;
use futures::future::join_all;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::appends::{append, append_many, ids, written};
use super::test_log::{TestLog, queued, until};

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_writer_whose_backend_was_ended_while_idle_connects_again() {
    let log = TestLog::fresh().await;
    let node = log.node();
    written(node.append(append("one", 0)).await);
    assert_eq!(log.terminate_writers().await, 1);
    written(node.append(append("one", 1)).await);
    assert_eq!(log.dense_ids().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_batch_whose_backend_was_ended_while_it_waited_is_sent_again() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let held = log.hold().await;
    let mut waiting = vec![queued(&node, append("one", 0)).await];
    log.until_blocked(1).await;
    for number in 0..5 {
        waiting.push(queued(&node, append_many(&format!("s{number}"), 0, 2)).await);
    }
    let ended = log.blocked().await;
    assert_eq!(log.terminate_writers().await, 1);
    until("another backend waits in its place", async || {
        let blocked = log.blocked().await;
        blocked.len() == 1 && blocked != ended
    })
    .await;
    held.release().await;
    let positions: Vec<i64> = join_all(waiting).await.into_iter().map(|verdict| written(verdict).number).collect();
    assert_eq!(positions, [1, 3, 5, 7, 9, 11]);
    assert_eq!(log.dense_ids().await.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_g6_what_is_acknowledged_while_backends_are_ended_is_there_exactly_once() {
    let log = TestLog::fresh().await;
    let nodes = [log.node(), log.node()];
    let enough = CancellationToken::new();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (node, enough) = (nodes[writer % 2].clone(), enough.clone());
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for sequence in 0.. {
                if enough.is_cancelled() {
                    break;
                }
                let append = append(&format!("s{writer}"), sequence);
                let id = ids(&append)[0];
                acknowledged.push((written(node.append(append).await).number, id));
            }
            acknowledged
        });
    }
    let mut ended = 0;
    until("twenty backends have been ended", async || {
        ended += log.terminate_writers().await;
        ended >= 20
    })
    .await;
    enough.cancel();
    let acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let all = log.dense_ids().await;
    assert_eq!(all.len(), acknowledged.len(), "nothing but what was acknowledged");
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "each once");
    for (position, id) in acknowledged {
        assert_eq!(all[usize::try_from(position).expect("a position") - 1], id, "where it was said to be");
    }
}
