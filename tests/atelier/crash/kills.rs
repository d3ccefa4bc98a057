//! G1: eight clients at work while server and PostgreSQL are killed with -9 by turns, and a checker that reads only the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::dice::Dice;
use super::journal::{Journal, hold_against};
use super::log_checker::LogChecker;
use super::members::Member;
use super::settled::{at_rest, balances_are_shown, rebuilt_equals_followed};
use super::stage::Stage;
use super::{size, tell};
use crate::harness::process::until;

const CLIENTS: usize = 8;
/// After how many kills other members take their turn, so that no ledger grows without end.
const TURN: usize = 20;

/// Clients at work.
struct Crowd {
    working: JoinSet<()>,
    enough: CancellationToken,
    turn: Arc<AtomicUsize>,
}

impl Crowd {
    fn gather(stage: &Stage, members: &Arc<[Member]>, journal: &Arc<Journal>, dice: &mut Dice) -> Self {
        let (turn, enough) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let mut working = JoinSet::new();
        for number in 0..CLIENTS {
            let (members, journal) = (members.clone(), journal.clone());
            let client = Client::new(number, dice.fork(), members, turn.clone(), stage.address(), journal);
            working.spawn(client.run(enough.clone()));
        }
        Self { working, enough, turn }
    }

    /// Fails when a client has.
    fn still_works(&mut self) {
        if let Some(ended) = self.working.try_join_next() {
            ended.expect("a client failed");
        }
    }

    async fn disperse(mut self) {
        self.enough.cancel();
        while let Some(ended) = self.working.join_next().await {
            ended.expect("a client failed");
        }
    }
}

/// Reads on, and holds what was acknowledged before against it.
async fn check(stage: &Stage, checker: &mut LogChecker, journal: &Journal, from: usize) -> usize {
    let acknowledged = journal.since(from);
    checker.read_on(&mut stage.superuser().await).await;
    hold_against(checker, &acknowledged);
    checker.assert_well();
    from + acknowledged.len()
}

/// Everything once more, from the first event; nothing is left under way, and the past is what it was.
async fn check_all(stage: &Stage, journal: &Journal, before: &LogChecker) -> LogChecker {
    let mut checker = stage.checker();
    checker.read_on(&mut stage.superuser().await).await;
    hold_against(&mut checker, &journal.since(0));
    checker.every_hold_has_its_key();
    checker.at_rest();
    checker.assert_well();
    assert!(checker.events().zip(before.events()).all(|(now, then)| now == then), "the past is what it was");
    assert!(checker.last() >= before.last());
    checker
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g3_g5_what_was_acknowledged_outlives_kill_after_kill() {
    let (kills, started) = (size("ATELIER_SOAK_KILLS", 20), Instant::now());
    let mut dice = Dice::of("crash::kills");
    let mut stage = Stage::open().await;
    let members: Arc<[Member]> = stage.members(4.max(kills.div_ceil(TURN) * 2)).await.into();
    let journal = Arc::new(Journal::of(&mut stage.superuser().await).await);
    let mut checker = stage.checker();
    let mut crowd = Crowd::gather(&stage, &members, &journal, &mut dice);
    let (mut checked, killing_from) = (0, Instant::now());
    for kill in 0..kills {
        crowd.turn.store(kill / TURN * 2, Ordering::Relaxed);
        let before = journal.len();
        until("a few acknowledgements", async || {
            crowd.still_works();
            (journal.len() >= before + CLIENTS).then_some(())
        })
        .await;
        let (while_told, pause) = (dice.chance(50), Duration::from_millis(dice.below(150) as u64));
        let moment = async {
            sleep(pause).await;
            if while_told {
                // Just after somebody was told that something is done: when it is not, this is when it shows.
                timeout(Duration::from_secs(1), journal.told()).await.ok();
            }
        };
        stage.strike(kill % 2 == 0, moment, &mut dice).await;
        checked = check(&stage, &mut checker, &journal, checked).await;
        if (kill + 1) % 50 == 0 {
            tell(&format!("  {} of {kills} kills, {} events, {checked} acknowledged", kill + 1, checker.last()));
        }
    }
    let killing = killing_from.elapsed();
    crowd.disperse().await;
    // Work that a living server lost sight of when its PostgreSQL was killed comes back with its lease (G11).
    at_rest(&stage).await;
    let all = check_all(&stage, &journal, &checker).await;
    balances_are_shown(&stage.visitor(), &members, &all).await;
    stage.kill_server();
    let node = stage.node().await;
    rebuilt_equals_followed(&node, &node.studio.write.pool).await;
    assert!(node.stop().await, "everything that was begun ends in time");
    summary(&stage, &journal, &all, killing, started.elapsed());
}

fn summary(stage: &Stage, journal: &Journal, checker: &LogChecker, killing: Duration, all: Duration) {
    let (jobs, count) = (checker.jobs.as_ref().expect("jobs"), |what| journal.count(what));
    let answered = [count(&journal.sent), journal.len(), count(&journal.unanswered)];
    assert!(answered[2] > 0, "kills that nobody noticed prove nothing");
    tell(&format!("G1 crash: {} kills of the server, {} of PostgreSQL", stage.server_kills, stage.postgres_kills));
    tell(&format!("G1 crash: {} requests sent, {} acknowledged, {} sent again", answered[0], answered[1], answered[2]));
    let (refused, repeated) = (count(&journal.refused), count(&journal.repeated));
    let (faults, abandoned) = (count(&journal.faults), count(&journal.abandoned));
    tell(&format!(
        "G1 crash: {refused} refused for want of credits, {repeated} repeated, {abandoned} abandoned, {faults} answered 500"
    ));
    let (events, holds, paid) = (checker.last(), checker.ledgers.holds(), jobs.paid());
    tell(&format!("G1 crash: {events} events checked, {holds} holds, {paid} jobs paid"));
    let found = checker.violations().len();
    tell(&format!(
        "G1 crash: lost {found}, duplicated {found}, negative prefixes {found}, read models equal their rebuild"
    ));
    tell(&format!("G1 crash: {} s, {} s of them killing", all.as_secs(), killing.as_secs()));
}
