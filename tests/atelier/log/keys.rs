//! Property 4: idempotency in the append's own transaction (L04, L05, L07, B21).

use std::sync::Arc;

use atelier_commands::event_store::{AppendError, Appended, EventStore, UsedKey};
use atelier_domain::AccountId;
use futures::future::join_all;
use tokio::task::JoinSet;

use super::appends::{Verdict, append, append_many, fresh_id, keyed, written};
use super::test_log::{TestLog, queued};

fn account() -> AccountId {
    AccountId(fresh_id())
}

/// Asserts that one verdict is `Written` and every other repeats exactly it; the result they all stand for.
#[track_caller]
fn one_written(verdicts: &[Verdict], results: &[String]) -> String {
    let firsts: Vec<usize> =
        (0..verdicts.len()).filter(|&n| matches!(verdicts[n], Ok(Appended::Written { .. }))).collect();
    let [first] = firsts[..] else { panic!("not one written: {verdicts:?}") };
    let Ok(Appended::Written { position }) = verdicts[first] else { unreachable!("it was found as written") };
    let repeat = Ok(Appended::Repeat { result: results[first].clone(), position });
    assert!(verdicts.iter().enumerate().all(|(n, verdict)| n == first || *verdict == repeat), "{verdicts:?}");
    results[first].clone()
}

async fn sixty_four_at_once(stream_of: impl Fn(usize) -> String) {
    let log = TestLog::fresh().await;
    let nodes = [log.node(), log.node()];
    let account = account();
    let results: Vec<String> = (0..64).map(|n| format!("result-{n}")).collect();
    let held = log.hold().await;
    let mut twins = JoinSet::new();
    for (n, result) in results.iter().enumerate() {
        let append = keyed(append_many(&stream_of(n), 0, 2), account, "key", 1, result);
        let node = nodes[n % 2].clone();
        twins.spawn(async move { (n, node.append(append).await) });
    }
    log.until_blocked(2).await;
    held.release().await;
    let mut verdicts = twins.join_all().await;
    verdicts.sort_by_key(|(n, _)| *n);
    let verdicts: Vec<Verdict> = verdicts.into_iter().map(|(_, verdict)| verdict).collect();
    let result = one_written(&verdicts, &results);
    assert_eq!(log.dense_ids().await.len(), 2, "written once, the others left nothing");
    let used = nodes[0].find_key(account, "key").await.expect("the log can be read").expect("the key was used");
    assert_eq!((used.result, used.position.number, used.fingerprint), (result, 2, vec![1; 32]));
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_l05_64_copies_of_one_request_at_once_apply_once() {
    // Each decided an id of its own, as requests that make something do: the key alone tells that they are one.
    sixty_four_at_once(|n| format!("made-{n}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_l05_64_copies_on_one_stream_repeat_and_do_not_conflict() {
    sixty_four_at_once(|_| "same".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_l04_l07_a_repeat_writes_nothing_and_another_body_is_refused() {
    let log = TestLog::fresh().await;
    let (node, other) = (log.node(), log.node());
    let account = account();
    let position = written(node.append(keyed(append("one", 0), account, "key", 1, "first")).await);
    let repeat = Ok(Appended::Repeat { result: "first".to_owned(), position });
    assert_eq!(other.append(keyed(append("two", 0), account, "key", 1, "second")).await, repeat);
    // Decided on the state after the first: still the same request.
    assert_eq!(other.append(keyed(append("one", 1), account, "key", 1, "second")).await, repeat);
    assert_eq!(node.append(keyed(append("two", 0), account, "key", 2, "x")).await, Err(AppendError::KeyReused));
    // Both a conflict and another body: deciding again would not help, so the key has the word.
    assert_eq!(node.append(keyed(append("one", 0), account, "key", 2, "x")).await, Err(AppendError::KeyReused));
    assert_eq!(log.dense_ids().await.len(), 1);
    // The streams are free for others.
    written(node.append(append("two", 0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_l07_what_was_not_written_does_not_use_a_key_up() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let account = account();
    written(node.append(append("one", 0)).await);
    assert_eq!(node.append(keyed(append("one", 0), account, "key", 1, "x")).await, Err(AppendError::Conflict));
    let mut poisonous = keyed(append("two", 0), account, "key", 1, "x");
    poisonous.events[0].payload = "{".to_owned();
    assert!(matches!(node.append(poisonous).await, Err(AppendError::Rejected(_))));
    assert_eq!(node.find_key(account, "key").await.expect("the log can be read"), None);
    let position = written(node.append(keyed(append("one", 1), account, "key", 2, "later")).await);
    let used = UsedKey { fingerprint: vec![2; 32], result: "later".to_owned(), position };
    assert_eq!(node.find_key(account, "key").await.expect("the log can be read"), Some(used));
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_keys_of_different_accounts_never_meet() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let (ada, ben) = (account(), account());
    let first = written(node.append(keyed(append("ada", 0), ada, "key", 1, "ada's")).await);
    let second = written(node.append(keyed(append("ben", 0), ben, "key", 2, "ben's")).await);
    let repeated = node.append(keyed(append("x", 0), ada, "key", 1, "x")).await;
    assert_eq!(repeated, Ok(Appended::Repeat { result: "ada's".to_owned(), position: first }));
    let repeated = node.append(keyed(append("x", 0), ben, "key", 2, "x")).await;
    assert_eq!(repeated, Ok(Appended::Repeat { result: "ben's".to_owned(), position: second }));
    assert_eq!(node.find_key(account(), "key").await.expect("the log can be read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_one_key_twice_in_one_batch_is_written_once_and_fails_what_stands_on_the_repeat() {
    let log = TestLog::fresh().await;
    let node: Arc<_> = log.node();
    let account = account();
    let held = log.hold().await;
    let mut waiting = vec![queued(&node, append("plug", 0)).await];
    log.until_blocked(1).await;
    for append in [
        keyed(append_many("first", 0, 2), account, "key", 1, "first"),
        append("between", 0),
        keyed(append("second", 0), account, "key", 1, "second"),
        append("second", 1),
        keyed(append("third", 0), account, "key", 2, "third"),
        append("after", 0),
    ] {
        waiting.push(queued(&node, append).await);
    }
    held.release().await;
    let verdicts = join_all(waiting).await;
    let positions: Vec<i64> = [0, 1, 2, 6].map(|n: usize| written(verdicts[n].clone()).number).to_vec();
    assert_eq!(positions, [1, 3, 4, 5], "what was taken back leaves no hole");
    let Ok(Appended::Repeat { result, position }) = &verdicts[3] else { panic!("{verdicts:?}") };
    assert_eq!((result.as_str(), position.number), ("first", 3));
    assert_eq!(verdicts[4..6], [Err(AppendError::Conflict), Err(AppendError::KeyReused)]);
    assert_eq!(log.dense_ids().await.len(), 5);
}

/// 64 requests with one key, of which some have another body, in an order that differs each time.
#[tokio::test(flavor = "multi_thread")]
async fn p4_l05_l07_64_at_once_with_two_bodies_are_one_request_and_others_that_are_told_so() {
    let log = TestLog::fresh().await;
    let nodes = [log.node(), log.node(), log.node(), log.node()];
    for seed in 0..6_usize {
        let account = account();
        let held = log.hold().await;
        let mut twins = JoinSet::new();
        for n in 0..64 {
            // A stride that has no factor with 64 visits each once.
            let n = (n * (2 * seed + 1) + seed) % 64;
            let body = u8::from(n % 5 == 0);
            let append = keyed(append_many(&format!("{seed}-{}", n % 7), 0, 2), account, "key", body, &n.to_string());
            let node = nodes[n % 4].clone();
            twins.spawn(async move { (n, body, node.append(append).await) });
        }
        log.until_blocked(4).await;
        held.release().await;
        let verdicts = twins.join_all().await;
        let first: Vec<_> =
            verdicts.iter().filter(|(_, _, verdict)| matches!(verdict, Ok(Appended::Written { .. }))).collect();
        let [(winner, body, first)] = first[..] else { panic!("seed {seed}: {verdicts:?}") };
        let position = written(first.clone());
        let repeat = Ok(Appended::Repeat { result: winner.to_string(), position });
        for (n, other, verdict) in verdicts.iter().filter(|(n, ..)| n != winner) {
            let expected = if other == body { &repeat } else { &Err(AppendError::KeyReused) };
            assert_eq!(verdict, expected, "seed {seed}, request {n}");
        }
        let used = nodes[0].find_key(account, "key").await.expect("the log can be read");
        let expected = UsedKey { fingerprint: vec![*body; 32], result: winner.to_string(), position };
        assert_eq!(used, Some(expected));
        assert_eq!(log.dense_ids().await.len(), 2 * (seed + 1), "written once, the others left nothing");
    }
}
