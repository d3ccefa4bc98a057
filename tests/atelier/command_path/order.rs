//! Commands on one aggregate are decided in order on pending state, and a refusal waits until what it stands on is durable.

use futures::future::join_all;

use super::stage::{Ask, Ledger, Stage, done, insufficient, refused, spendable, started};
use atelier_domain::credit_ledger::CreditLedgerEvent;

#[tokio::test(flavor = "multi_thread")]
async fn d3_commands_on_one_ledger_are_decided_in_order_on_what_is_pending_and_share_commits() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(300)).await);
    let held = stage.log.hold().await;
    let asks: Vec<Ask> = (0..300).map(|_| Ask::hold(1)).collect();
    let mut answers = Vec::new();
    for ask in &asks {
        answers.push(started(ledger.ask(&path, *ask)).await);
    }
    stage.log.until_blocked(1).await;
    stage.let_others_go_on().await;
    assert!(answers.iter().all(|answer| !answer.is_finished()), "nothing is acknowledged before it is durable");
    held.release().await;
    let mut positions = Vec::new();
    for answer in join_all(answers).await {
        positions.push(done(answer.expect("it ends")).1);
    }
    assert_eq!(positions, (2..=301).collect::<Vec<i64>>(), "in the order in which they came, nobody in between");
    let history = stage.history(&ledger).await;
    for (ask, (_, event)) in asks.iter().zip(&history[1..]) {
        let (Ask::Hold(asked, _), CreditLedgerEvent::HoldPlaced { hold_id, .. }) = (ask, event) else {
            panic!("{event:?} for {ask:?}")
        };
        assert_eq!(asked, hold_id);
    }
    assert_eq!(stage.commits(&ledger, 1).await, 2, "the first alone, and all that waited while it was on its way");
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
    assert_eq!(refused(ledger.ask(&path, Ask::hold(1)).await), insufficient(1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l08_a_refusal_a_no_op_and_a_load_wait_for_what_they_stand_on() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let hold = Ask::hold(100);
    let placed = started(ledger.ask(&path, hold)).await;
    stage.log.until_blocked(1).await;
    let overdraft = started(ledger.ask(&path, Ask::hold(1))).await;
    let again = started(ledger.ask(&path, hold)).await;
    let keyed = started(ledger.ask_keyed(&path, Ask::hold(2), "key", 1, "result")).await;
    let (asked, on) = (ledger.clone(), path.clone());
    let loaded = tokio::spawn(async move { asked.load(&on).await });
    stage.let_others_go_on().await;
    for (name, waits) in [
        ("the hold", !placed.is_finished()),
        ("its refusal", !overdraft.is_finished()),
        ("its repeat", !again.is_finished()),
        ("a refusal with a key", !keyed.is_finished()),
        ("a look at it", !loaded.is_finished()),
    ] {
        assert!(waits, "{name} was answered before it was durable");
    }
    held.release().await;
    let (_, position) = done(placed.await.expect("it ends"));
    assert_eq!(refused(overdraft.await.expect("it ends")), insufficient(1, 0));
    assert_eq!(done(again.await.expect("it ends")), (Vec::new(), position), "nothing to do");
    assert_eq!(refused(keyed.await.expect("it ends")), insufficient(2, 0));
    let loaded = loaded.await.expect("it ends");
    assert_eq!((loaded.sequence, loaded.position.number, spendable(&loaded.state)), (2, position, 0));
    assert_eq!(stage.history(&ledger).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_what_is_decided_after_a_refusal_does_not_wait_for_it() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let first = started(ledger.ask(&path, Ask::hold(100))).await;
    stage.log.until_blocked(1).await;
    let overdraft = started(ledger.ask(&path, Ask::hold(1))).await;
    let second = started(ledger.ask(&path, Ask::grant(50))).await;
    let third = started(ledger.ask(&path, Ask::hold(50))).await;
    held.release().await;
    let positions = [first, second, third];
    let positions = join_all(positions).await.into_iter().map(|answer| done(answer.expect("it ends")).1);
    assert_eq!(positions.collect::<Vec<i64>>(), [2, 3, 4]);
    assert_eq!(refused(overdraft.await.expect("it ends")), insufficient(1, 0), "as it was when it was decided");
}
