//! Bounds: a full queue refuses and writes nothing; a stop answers what was accepted; nothing waits longer than it may.

use std::collections::VecDeque;
use std::sync::Arc;

use atelier_commands::event_store::{AppendError, EventStore, WriterOptions};
use futures::future::join_all;

use super::appends::{append, append_payload, ids, written};
use super::test_log::{TestLog, queued};

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_queue_full_of_appends_refuses_and_writes_nothing() {
    let log = TestLog::fresh().await;
    let node = log.node_with(WriterOptions { queue_items: 4, ..WriterOptions::default() });
    let held = log.hold().await;
    let mut waiting = vec![queued(&node, append("s", 0)).await];
    // The first is with the database; the queue is empty again.
    log.until_blocked(1).await;
    for number in 0..4 {
        waiting.push(queued(&node, append(&format!("s{number}"), 0)).await);
    }
    for _ in 0..3 {
        assert_eq!(
            node.append(append("refused", 0)).await,
            Err(AppendError::Overloaded),
            "answered while the log stands"
        );
    }
    held.release().await;
    join_all(waiting).await.into_iter().for_each(|verdict| assert!(written(verdict).number > 0));
    assert_eq!(log.dense_ids().await.len(), 5);
    written(node.append(append("refused", 0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_queue_full_of_bytes_refuses_and_gives_them_back() {
    let log = TestLog::fresh().await;
    let node = log.node_with(WriterOptions { queue_bytes: 10_000, ..WriterOptions::default() });
    let payload = format!("\"{}\"", "x".repeat(3_000));
    let held = log.hold().await;
    let mut waiting = Vec::new();
    for number in 0..3 {
        waiting.push(queued(&node, append_payload(&format!("s{number}"), 0, &payload)).await);
    }
    // Those with the database count as well, so it does not matter how many have left the queue.
    assert_eq!(node.append(append_payload("refused", 0, &payload)).await, Err(AppendError::Overloaded));
    waiting.push(queued(&node, append("small", 0)).await);
    held.release().await;
    join_all(waiting).await.into_iter().for_each(|verdict| assert!(written(verdict).number > 0));
    assert_eq!(log.dense_ids().await.len(), 4);
    for number in 0..8 {
        written(node.append(append_payload("refused", number, &payload)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_stop_answers_what_was_accepted_and_refuses_the_rest() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let held = log.hold().await;
    let mut waiting = vec![queued(&node, append("s", 0)).await];
    log.until_blocked(1).await;
    for number in 0..10 {
        waiting.push(queued(&node, append(&format!("s{number}"), 0)).await);
    }
    log.stop.cancel();
    held.release().await;
    log.ended().await;
    // The writer is gone: every answer is already here.
    join_all(waiting).await.into_iter().for_each(|verdict| assert!(written(verdict).number > 0));
    assert_eq!(node.append(append("late", 0)).await, Err(AppendError::Overloaded), "refused, with nothing written");
    assert_eq!(log.dense_ids().await.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_stop_is_heard_under_a_load_that_never_ends() {
    let log = TestLog::fresh().await;
    let node: Arc<_> = log.node_with(WriterOptions { batch_items: 1, ..WriterOptions::default() });
    let mut waiting = VecDeque::new();
    for number in 0..100 {
        waiting.push_back(queued(&node, append(&format!("s{number}"), 0)).await);
    }
    log.stop.cancel();
    // From now on one comes for each that is answered: the queue never runs dry of itself.
    let mut refused = false;
    for number in 100..1_000 {
        written(waiting.pop_front().expect("some always wait").await);
        let (append, node) = (append(&format!("s{number}"), 0), node.clone());
        let id = ids(&append)[0];
        let mut answer: super::test_log::Queued = Box::pin(async move { node.append(append).await });
        match futures::poll!(&mut answer) {
            std::task::Poll::Pending => waiting.push_back(answer),
            std::task::Poll::Ready(verdict) => {
                assert_eq!(verdict, Err(AppendError::Overloaded));
                assert!(!log.dense_ids().await.contains(&id));
                refused = true;
                break;
            }
        }
    }
    assert!(refused, "a stopping writer went on accepting");
    log.ended().await;
    join_all(waiting).await.into_iter().for_each(|verdict| assert!(written(verdict).number > 0));
}
