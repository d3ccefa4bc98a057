//! G3: races for the last credits, through the command path of two nodes: exactly as many win as the balance pays for.

use std::time::Instant;

use atelier_commands::command_path::{Executed, Target};
use atelier_commands::{CommandError, WriteSide};
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError, HoldLimits};
use atelier_domain::policy::catalogue::PRICE_VERSION;
use atelier_domain::{AccountId, Actor, Credits, GenerationId, HoldId, LedgerId};
use futures::future::join_all;
use sqlx::{Connection, PgConnection};

use super::dice::Dice;
use super::log_checker::LogChecker;
use super::members::grant;
use super::{another_node, size, tell};
use crate::harness::TestStudio;

/// How many rounds run at once.
const LANES: usize = 4;

/// How a command ended, once it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done(HoldId),
    /// There was not enough; this much was available.
    Refused(i64),
    /// Somebody else had ended the hold.
    NotOpen,
}

/// How often a node was too busy to decide, and was asked again.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    racers: usize,
    won: usize,
    conflicts: usize,
}

/// Gives a command until it is decided. A conflict is said to be one, and is never taken for a refusal (L06).
async fn decided(write: &WriteSide, account: AccountId, hold: HoldId, command: Command) -> (Ended, usize) {
    let target = Target { id: LedgerId::live(account).to_string(), subject: account };
    let context = write.request_context(Actor::Operator);
    for conflicts in 0.. {
        match write.path.execute::<CreditLedger>(&target, &context, None, |now| command.at(hold, now)).await {
            Ok(Executed::Done { .. }) => return (Ended::Done(hold), conflicts),
            Err(CommandError::Refused(CreditLedgerError::InsufficientCredits { available, .. })) => {
                return (Ended::Refused(available.get()), conflicts);
            }
            Err(CommandError::Refused(CreditLedgerError::HoldNotOpen)) => return (Ended::NotOpen, conflicts),
            Err(CommandError::Conflict) => {}
            other => panic!("neither decided nor a conflict: {other:?}"),
        }
    }
    unreachable!("there is always a next try")
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Place(i64),
    Capture(i64),
    Void,
}

impl Command {
    fn at(self, hold_id: HoldId, now: chrono::DateTime<chrono::Utc>) -> CreditLedgerCommand {
        match self {
            Self::Place(amount) => {
                let (generation_id, amount) = (GenerationId::from(hold_id), Credits::new(amount));
                let (price_version, limits) = (PRICE_VERSION, HoldLimits::default());
                CreditLedgerCommand::PlaceHold { hold_id, generation_id, amount, price_version, limits, now }
            }
            Self::Capture(amount) => CreditLedgerCommand::CaptureHold { hold_id, amount: Credits::new(amount), now },
            Self::Void => CreditLedgerCommand::VoidHold { hold_id, now },
        }
    }
}

/// One race on a ledger of its own, then a race to end what was won.
async fn race(nodes: &[&WriteSide; 2], account: AccountId, lots: [i64; 2], dice: &mut Dice) -> Tally {
    let price = *dice.pick(&[100, 200, 250, 800]);
    let (racers, pays) = (2 + dice.below(63), (lots[0] + lots[1]) / price);
    let racing = (0..racers).map(|racer| {
        let write = nodes[racer % 2];
        decided(write, account, HoldId(write.fresh_id()), Command::Place(price))
    });
    let ended = join_all(racing).await;
    let won: Vec<HoldId> = ended.iter().filter_map(|(ended, _)| won(*ended)).collect();
    let enough = usize::try_from(pays).expect("not negative").min(racers);
    assert_eq!(won.len(), enough, "{racers} racers for {lots:?} at {price} each: {ended:?}");
    let refused = |ended: &Ended| matches!(ended, Ended::Refused(available) if *available < price);
    assert!(
        ended.iter().all(|(one, _)| won_by(*one) || refused(one)),
        "for want of credits and nothing else: {ended:?}"
    );
    for hold in won.iter().take(3) {
        let ways = [Command::Capture(price), Command::Capture(price / 2), Command::Void, Command::Capture(0)];
        let (first, ending) = (dice.below(4), 2 + dice.below(4));
        let ending = (first..first + ending).map(|n| decided(nodes[n % 2], account, *hold, ways[n % 4]));
        let ended: Vec<Ended> = join_all(ending).await.into_iter().map(|(ended, _)| ended).collect();
        assert_eq!(ended.iter().filter(|one| won_by(**one)).count(), 1, "L10: a hold ends once: {ended:?}");
        assert!(ended.iter().all(|one| won_by(*one) || *one == Ended::NotOpen), "{ended:?}");
    }
    Tally { racers, won: won.len(), conflicts: ended.iter().map(|(_, conflicts)| conflicts).sum() }
}

const fn won(ended: Ended) -> Option<HoldId> {
    match ended {
        Ended::Done(hold) => Some(hold),
        Ended::Refused(_) | Ended::NotOpen => None,
    }
}

const fn won_by(ended: Ended) -> bool {
    won(ended).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_l06_l10_a_race_is_won_as_often_as_the_balance_pays_for() {
    let (rounds, started) = (size("ATELIER_SOAK_RACES", 300), Instant::now());
    let mut dice = Dice::of("crash::races");
    let studio = TestStudio::start().await;
    let another = another_node(&studio, &studio.database.url).await;
    let nodes = [&studio.node.studio.write, &another.studio.write];
    let lanes = (0..LANES.min(rounds)).map(|lane| {
        let (mut dice, studio, nodes) = (dice.fork(), &studio, &nodes);
        async move {
            let mut tallies = Vec::new();
            for _ in (lane..rounds).step_by(LANES) {
                let account = AccountId(nodes[0].fresh_id());
                let lots = [1 + dice.below(1_500), 1 + dice.below(500)].map(|lot| i64::try_from(lot).expect("small"));
                grant(&studio.node, account, &lots).await;
                tallies.push(race(nodes, account, lots, &mut dice).await);
            }
            tallies
        }
    });
    let tallies: Vec<Tally> = join_all(lanes).await.into_iter().flatten().collect();
    let mut checker = LogChecker::default();
    let mut superuser = PgConnection::connect(&studio.database.superuser_url).await.expect("the superuser connects");
    checker.read_on(&mut superuser).await;
    checker.assert_well();
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (racers, won, conflicts) = (sum(|tally| tally.racers), sum(|tally| tally.won), sum(|tally| tally.conflicts));
    assert_eq!((tallies.len(), checker.ledgers.holds()), (rounds, won), "every hold was won in a race");
    tell(&format!(
        "G3 races: {rounds} races of {racers} clients on two nodes, {won} won, {conflicts} conflicts tried again"
    ));
    tell(&format!("G3 races: {} events checked, negative prefixes 0, double spends 0", checker.last()));
    tell(&format!("G3 races: {} s", started.elapsed().as_secs()));
    assert!(another.stop().await, "everything that was begun ends in time");
    studio.stop().await;
}
