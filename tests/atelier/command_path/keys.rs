//! Idempotency keys through the command path (L04, L05, L07).

use atelier_commands::CommandError;
use atelier_commands::command_path::Executed;
use tokio::task::JoinSet;

use super::stage::{Ask, Ledger, Outcome, Stage, done, insufficient, refused, spendable};

/// 64 requests with one key at once over two nodes, every fourth with another body; what each came to.
async fn at_once(stage: &Stage, ledger: &Ledger, key: &str) -> Vec<(u8, String, Outcome)> {
    let nodes = [stage.path(), stage.path()];
    let mut requests = JoinSet::new();
    for number in 0..64 {
        let (body, result) = (u8::from(number % 4 == 0), format!("result-{number}"));
        let request = ledger.ask_keyed(&nodes[number / 4 % 2], Ask::hold(10), key, body, &result);
        requests.spawn(async move { (body, result, request.await) });
    }
    requests.join_all().await
}

/// Exactly one is done; those with its body repeat it, the others are told that the key was used.
#[track_caller]
fn one_done(outcomes: Vec<(u8, String, Outcome)>) {
    let (first, others): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|(_, _, outcome)| matches!(outcome, Ok(Executed::Done { .. })));
    let [(body, result, first)] = &first[..] else { panic!("not one was done: {first:?}") };
    let position = first.as_ref().map(Executed::position).expect("it was done");
    for (other_body, _, other) in &others {
        match other {
            Ok(Executed::Repeat { result: repeated, position: at }) => {
                assert_eq!((other_body, repeated, *at), (body, result, position));
            }
            Err(CommandError::KeyReused) => assert_ne!(other_body, body),
            other => panic!("neither a repeat nor another body: {other:?}"),
        }
    }
    assert_eq!(others.len(), 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn l05_l07_one_key_from_64_at_once_is_done_once() {
    let stage = Stage::fresh().await;
    // With credits for all, and with credits for one: then most are decided on what the first has left.
    for credits in [640, 10, 640, 10] {
        let ledger = Ledger::fresh();
        done(ledger.ask(&stage.path(), Ask::grant(credits)).await);
        one_done(at_once(&stage, &ledger, "key").await);
        assert_eq!(stage.history(&ledger).await.len(), 2);
        assert_eq!(spendable(&stage.truth(&ledger).await), credits - 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_a_key_is_answered_the_same_for_ever_and_a_refusal_does_not_use_it_up() {
    let stage = Stage::fresh().await;
    let (here, there, ledger) = (stage.path(), stage.path(), Ledger::fresh());
    let ask = |path, body, result| ledger.ask_keyed(path, Ask::hold(10), "key", body, result);
    assert_eq!(refused(ask(&here, 1, "never").await), insufficient(10, 0));
    done(ledger.ask(&there, Ask::grant(10)).await);
    // The key is free: also for another request.
    let (_, position) = done(ask(&here, 2, "first").await);
    for node in [&here, &there] {
        match ask(node, 2, "second").await {
            Ok(Executed::Repeat { result, position: at }) => {
                assert_eq!((result.as_str(), at.number), ("first", position))
            }
            other => panic!("{other:?}"),
        }
        // There is nothing left to spend, and yet it is not that which is said.
        assert!(matches!(ask(node, 1, "third").await, Err(CommandError::KeyReused)));
    }
    // What repeats the whole command, not only its key, has the same answer.
    let again = Ask::hold(1);
    done(ledger.ask(&here, Ask::grant(1)).await);
    done(ledger.ask_keyed(&here, again, "other", 1, "one").await);
    let repeated = ledger.ask_keyed(&here, again, "other", 1, "two").await;
    assert!(matches!(&repeated, Ok(Executed::Repeat { result, .. }) if result == "one"), "{repeated:?}");
    let reused = ledger.ask_keyed(&there, again, "other", 2, "three").await;
    assert!(matches!(reused, Err(CommandError::KeyReused)), "{reused:?}");
    assert_eq!(stage.history(&ledger).await.len(), 4);
}
