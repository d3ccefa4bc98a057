//! Appends whose outcome is not known, and appends that had no place: the next command finds the truth again (property 8).

use std::time::Duration;

use atelier_commands::CommandError;
use atelier_commands::event_store::WriterOptions;
use futures::future::join_all;

use super::stage::{Ask, Ledger, Stage, done, insufficient, refused, spendable, started};
use crate::log::lossy_link::LossyLink;
use crate::log::unknown::settled;

/// A writer that soon gives up.
fn impatient() -> WriterOptions {
    WriterOptions { deadline: Duration::from_millis(300), ..WriterOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_after_an_unknown_outcome_the_truth_is_read_again() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path_over(stage.log.node_with(impatient())), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let first = started(ledger.ask(&path, Ask::hold(60))).await;
    stage.log.until_blocked(1).await;
    let second = started(ledger.ask(&path, Ask::hold(30))).await;
    let overdraft = started(ledger.ask(&path, Ask::hold(20))).await;
    let first = first.await.expect("it ends");
    assert!(matches!(first, Err(CommandError::OutcomeUnknown)), "{first:?}");
    let second = second.await.expect("it ends");
    assert!(matches!(second, Err(CommandError::Unavailable)), "never sent, and so known: {second:?}");
    // It stood on both of them; on the log as it is nothing refuses it, and the log does not answer.
    let overdraft = overdraft.await.expect("it ends");
    assert!(matches!(overdraft, Err(CommandError::OutcomeUnknown)), "{overdraft:?}");
    held.release().await;
    settled(&stage.log).await;
    let truth = stage.truth(&ledger).await;
    assert_eq!(ledger.load(&path).await.state, truth);
    let left = spendable(&truth);
    done(ledger.ask(&path, Ask::hold(left)).await);
    assert_eq!(refused(ledger.ask(&path, Ask::hold(1)).await), insufficient(1, 0));
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_what_was_durable_all_the_time_is_found_after_its_answer_was_lost() {
    let stage = Stage::fresh().await;
    let link = LossyLink::to(&stage.log.database.url).await;
    let node = stage.log.node_at(&link.url, impatient());
    let (path, ledger) = (stage.path_over(node), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    stage.log.allow_connections(false).await;
    link.lose_answer(1);
    let lost = ledger.ask(&path, Ask::hold(60)).await;
    assert!(matches!(lost, Err(CommandError::OutcomeUnknown)), "{lost:?}");
    stage.log.allow_connections(true).await;
    assert_eq!(refused(ledger.ask(&path, Ask::hold(60)).await), insufficient(60, 40));
    assert_eq!(spendable(&ledger.load(&path).await.state), 40);
    assert_eq!(spendable(&stage.truth(&ledger).await), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_what_found_no_place_in_the_queue_has_changed_nothing() {
    let stage = Stage::fresh().await;
    let options = WriterOptions { queue_items: 2, ..WriterOptions::default() };
    let (path, ledger) = (stage.path_over(stage.log.node_with(options)), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let mut waiting = vec![started(ledger.ask(&path, Ask::hold(10))).await];
    stage.log.until_blocked(1).await;
    for _ in 0..2 {
        waiting.push(started(ledger.ask(&path, Ask::hold(10))).await);
    }
    for _ in 0..3 {
        let refused = ledger.ask(&path, Ask::hold(70)).await;
        assert!(matches!(refused, Err(CommandError::Unavailable)), "{refused:?}");
    }
    held.release().await;
    join_all(waiting).await.into_iter().for_each(|answer| assert_eq!(done(answer.expect("it ends")).0.len(), 1));
    assert_eq!(spendable(&ledger.load(&path).await.state), 70);
    done(ledger.ask(&path, Ask::hold(70)).await);
    assert_eq!(stage.history(&ledger).await.len(), 5);
}
