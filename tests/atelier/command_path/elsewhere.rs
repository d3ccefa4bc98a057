//! Another node's events: what stood on a place they took is decided again, and no answer rests on a cache that does not know them.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use atelier_commands::command_path::CommandPathOptions;
use atelier_commands::ports::Clock;
use atelier_commands::{CommandError, CommandPath};
use atelier_domain::LotId;
use atelier_domain::credit_ledger::CreditLedgerError;
use atelier_server::system::SystemClock;
use chrono::TimeDelta;
use futures::future::join_all;

use super::stage::{Ask, Ledger, Outcome, Stage, done, insufficient, refused, spendable, started};
use super::stores::Second;
use crate::log::appends::fresh_id;
use crate::log::test_log::until;

/// What a node is allowed to be wrong about before it gives up.
const DECISIONS: i64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_refusal_on_an_append_that_fails_is_decided_again() {
    let stage = Stage::fresh().await;
    let (here, there, ledger) = (stage.path(), stage.path(), Ledger::fresh());
    done(ledger.ask(&here, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let theirs = started(ledger.ask(&there, Ask::grant(100))).await;
    stage.log.until_blocked(1).await;
    let ours = started(ledger.ask(&here, Ask::hold(100))).await;
    stage.log.until_blocked(2).await;
    // There is nothing left if ours gets its place; it does not.
    let on_top = started(ledger.ask(&here, Ask::hold(100))).await;
    held.release().await;
    done(theirs.await.expect("it ends"));
    done(ours.await.expect("it ends"));
    done(on_top.await.expect("it ends"));
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
    assert_eq!(stage.history(&ledger).await.len(), 4);
}

/// Ours was decided, and another on top of it, when another node's event takes the place. In the same batch, or in the next one, where
/// the place of the one on top is free.
async fn on_a_phantom(same_batch: bool) {
    let stage = Stage::fresh().await;
    let (here, there, ledger) = (stage.path(), stage.path(), Ledger::fresh());
    done(ledger.ask(&here, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let theirs = started(ledger.ask(&there, Ask::hold(100))).await;
    stage.log.until_blocked(1).await;
    let plug = if same_batch {
        let elsewhere = Ledger::fresh();
        let plug = tokio::spawn(elsewhere.ask(&here, Ask::grant(1)));
        stage.log.until_blocked(2).await;
        Some(plug)
    } else {
        None
    };
    let ours = started(ledger.ask(&here, Ask::hold(60))).await;
    stage.log.until_blocked(2).await;
    let on_top = started(ledger.ask(&here, Ask::hold(40))).await;
    let nothing_left = started(ledger.ask(&here, Ask::hold(5))).await;
    held.release().await;
    done(theirs.await.expect("it ends"));
    if let Some(plug) = plug {
        done(plug.await.expect("it ends"));
    }
    assert_eq!(refused(ours.await.expect("it ends")), insufficient(60, 0));
    assert_eq!(refused(on_top.await.expect("it ends")), insufficient(40, 0));
    assert_eq!(refused(nothing_left.await.expect("it ends")), insufficient(5, 0));
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
    assert_eq!(stage.history(&ledger).await.len(), 2, "nothing was decided on what did not come to be");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_p2_nothing_is_written_on_top_of_an_append_that_failed_in_its_batch() {
    on_a_phantom(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_p2_nothing_is_written_on_top_of_an_append_that_failed_in_an_earlier_batch() {
    on_a_phantom(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l08_no_refusal_and_no_no_op_rests_on_a_stale_state() {
    let stage = Stage::fresh().await;
    let (here, there, ledger) = (stage.path(), stage.path(), Ledger::fresh());
    let spent = Ask::hold(100);
    done(ledger.ask(&here, Ask::grant(100)).await);
    done(ledger.ask(&here, spent).await);
    assert_eq!(refused(ledger.ask(&here, Ask::hold(50)).await), insufficient(50, 0));
    done(ledger.ask(&there, Ask::grant(50)).await);
    done(ledger.ask(&here, Ask::hold(50)).await);
    // Here the hold is open, and placing it again would be nothing to do; there it has ended.
    done(ledger.ask(&there, spent.voided()).await);
    assert_eq!(refused(ledger.ask(&here, spent).await), CreditLedgerError::HoldEnded);
    let (_, position) = done(ledger.ask(&there, Ask::grant(7)).await);
    let loaded = ledger.load(&here).await;
    assert_eq!((loaded.sequence, loaded.position.number, spendable(&loaded.state)), (6, position, 107));
    assert_eq!(loaded.state, stage.truth(&ledger).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l13_an_expiry_swept_elsewhere_is_seen() {
    let stage = Stage::fresh().await;
    let (here, there, ledger) = (stage.path(), stage.path(), Ledger::fresh());
    let lot = LotId(fresh_id());
    let soon = SystemClock.now() + TimeDelta::milliseconds(50);
    done(ledger.ask(&here, Ask::GrantUntil(lot, 100, soon)).await);
    until("the lot is over", async || SystemClock.now() > soon).await;
    done(ledger.ask(&there, Ask::Expire(lot)).await);
    assert_eq!(done(ledger.ask(&here, Ask::Expire(lot)).await).0, [], "there is nothing left of it");
    assert_eq!(refused(ledger.ask(&here, Ask::hold(1)).await), insufficient(1, 0));
    assert_eq!(stage.history(&ledger).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l08_many_at_once_on_a_stale_state_all_see_what_another_node_has_acknowledged() {
    const AT_ONCE: usize = 8;
    let stage = Stage::fresh().await;
    let (here, there, ledger) = (stage.path(), stage.path(), Ledger::fresh());
    for round in 0..10 {
        // The state here is empty, and everybody knows it.
        assert_eq!(refused(ledger.ask(&here, Ask::hold(1)).await), insufficient(1, 0));
        for _ in 0..AT_ONCE {
            done(ledger.ask(&there, Ask::grant(1)).await);
        }
        let acknowledged = (2 * round + 1) * i64::try_from(AT_ONCE).expect("few");
        let looks: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(look(ledger.clone(), here.clone()))).collect();
        let spends: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(ledger.ask(&here, Ask::hold(1)))).collect();
        for look in looks {
            let seen = look.await.expect("it ends");
            assert!(seen >= acknowledged, "round {round}: a look at the past: {seen} of {acknowledged} events");
        }
        for spend in spends {
            let outcome: Outcome = spend.await.expect("it ends");
            assert!(outcome.is_ok(), "round {round}: refused on a state of before: {outcome:?}");
        }
    }
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
}

async fn look(ledger: Ledger, path: CommandPath) -> i64 {
    ledger.load(&path).await.sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l06_a_ledger_that_others_always_win_is_a_typed_conflict_and_never_a_refusal() {
    let stage = Stage::fresh().await;
    let (there, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&there, Ask::grant(10_000)).await);
    let second = |chances, before_reads| {
        let (ledger, there) = (ledger.clone(), there.clone());
        let rival = move || -> futures::future::BoxFuture<'static, ()> {
            let spend = ledger.ask(&there, Ask::hold(1));
            Box::pin(async move { drop(done(spend.await)) })
        };
        let (inner, chances) = (stage.log.node(), AtomicI64::new(chances));
        stage.path_over(Arc::new(Second { inner, rival: Box::new(rival), chances, before_reads }))
    };
    let unlucky = second(i64::MAX, false);
    let lost = ledger.ask(&unlucky, Ask::hold(1)).await;
    assert!(matches!(lost, Err(CommandError::Conflict)), "{lost:?}");
    let events = i64::try_from(stage.history(&ledger).await.len()).expect("few");
    assert_eq!(events, 1 + DECISIONS, "so often was it tried, and nothing of it was written");
    // One more than it may lose is the last straw; one less is not.
    done(ledger.ask(&second(DECISIONS - 1, false), Ask::hold(1)).await);
    // Nor is anything refused, or shown, on a state that never stands still.
    let restless = second(i64::MAX, true);
    ledger.load(&restless).await;
    let moving = ledger.ask(&restless, Ask::hold(1_000_000)).await;
    assert!(matches!(moving, Err(CommandError::Conflict)), "{moving:?}");
    stage.truth(&ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_cache_without_room_changes_no_answer() {
    let stage = Stage::fresh().await;
    let options = CommandPathOptions { cache_bytes: 1, ..CommandPathOptions::default() };
    let nodes = [stage.log.node(), stage.log.node()].map(|node| stage.path_with(node, None, &options));
    let ledgers: Vec<Ledger> = (0..4).map(|_| Ledger::fresh()).collect();
    for ledger in &ledgers {
        done(ledger.ask(&nodes[0], Ask::grant(10)).await);
    }
    let spends: Vec<_> = (0..64).map(|n| tokio::spawn(ledgers[n % 4].ask(&nodes[n / 4 % 2], Ask::hold(1)))).collect();
    let mut placed = [0; 4];
    for (n, spend) in join_all(spends).await.into_iter().enumerate() {
        match spend.expect("it ends") {
            Ok(_) => placed[n % 4] += 1,
            Err(CommandError::Refused(refusal)) => assert_eq!(refusal, insufficient(1, 0)),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(placed, [10; 4]);
    for ledger in &ledgers {
        assert_eq!(spendable(&stage.truth(ledger).await), 0);
        assert_eq!(ledger.load(&nodes[1]).await.state, stage.truth(ledger).await);
    }
}

/// As a replica that was behind would have it: the second event is not there, and the connection is another one.
async fn fail_over(stage: &Stage) {
    let mut superuser = stage.log.superuser().await;
    for sql in ["alter table events disable trigger all", "delete from events where position = 2"] {
        sqlx::query(sql).execute(&mut superuser).await.expect("the superuser may");
    }
    assert_eq!(stage.log.terminate_writers().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_p8_after_a_failover_that_lost_commits_nothing_is_decided_on_what_is_gone() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    done(ledger.ask(&path, Ask::grant(900)).await);
    fail_over(&stage).await;
    // The first is sent over the connection that is gone, then over the new one, which looks for what it was decided on.
    done(ledger.ask(&path, Ask::hold(60)).await);
    assert_eq!(refused(ledger.ask(&path, Ask::hold(60)).await), insufficient(60, 40));
    assert_eq!(stage.history(&ledger).await.len(), 2, "and no hole");
    assert_eq!(spendable(&stage.truth(&ledger).await), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_p8_after_a_failover_no_answer_rests_on_a_state_of_the_log_before() {
    let stage = Stage::fresh().await;
    let (path, ledger, elsewhere) = (stage.path(), Ledger::fresh(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    done(ledger.ask(&path, Ask::grant(900)).await);
    fail_over(&stage).await;
    // Something else brings the new connection.
    done(elsewhere.ask(&path, Ask::grant(1)).await);
    assert_eq!(ledger.load(&path).await.state, stage.truth(&ledger).await);
    assert_eq!(refused(ledger.ask(&path, Ask::hold(101)).await), insufficient(101, 100));
}
