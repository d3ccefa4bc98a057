//! Random commands from several nodes under faults: every answer must be the decision of one state that the ledger had between the
//! question and the answer, and the log must hold what was acknowledged and nothing that nobody asked for.

use std::sync::{Arc, Mutex};

use atelier_commands::command_path::{CommandPathOptions, Executed};
use atelier_commands::{CommandError, CommandPath};
use atelier_domain::Decide;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerEvent};
use atelier_server::system::SystemRandom;
use atelier_vault::RandomBytes;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use futures::future::{Either, join_all, poll_fn, select};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::stage::{Answer, Ask, Ledger, Outcome, Stage, done};

const LEDGERS: usize = 3;
const NODES: usize = 3;
const CLIENTS: usize = 12;
const COMMANDS: usize = 40;

/// Numbers from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn seeded(test: &str) -> Self {
        let mut bytes = [0; 8];
        SystemRandom.fill(&mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        let seed = std::env::var("ATELIER_SEED").ok().map_or(drawn, |seed| seed.parse().expect("a number"));
        eprintln!("{test}: ATELIER_SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % bound
    }
}

/// What a client saw of one command.
struct Seen {
    ledger: usize,
    ask: Ask,
    /// The instant of its last decision.
    decided: DateTime<Utc>,
    /// The log's head before and after.
    heads: (i64, i64),
    /// `None`: the client went away.
    outcome: Option<Outcome>,
}

async fn head(path: &CommandPath) -> i64 {
    path.store().head().await.expect("the log can be read").number
}

/// Waits for an answer, but no longer than some looks at it.
async fn impatient(answer: Answer, looks: usize) -> Option<Outcome> {
    let mut left = looks;
    let patience = poll_fn(move |context| {
        left = left.saturating_sub(1);
        if left == 0 {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    });
    match select(answer, patience).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(((), _)) => None,
    }
}

async fn client(path: CommandPath, ledgers: Arc<Vec<Ledger>>, mut chance: Chance) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut holds: Vec<(usize, Ask)> = Vec::new();
    for _ in 0..COMMANDS {
        let mut ledger = chance.below(LEDGERS);
        let ask = match chance.below(10) {
            0 => Ask::grant(1 + i64::try_from(chance.below(40)).expect("few")),
            1..=5 => Ask::hold(1 + i64::try_from(chance.below(25)).expect("few")),
            kind => {
                // A hold of its own, perhaps for the second time, perhaps one that was refused.
                let Some((of, hold)) = (!holds.is_empty()).then(|| holds[chance.below(holds.len())]) else { continue };
                ledger = of;
                match kind {
                    6 => hold,
                    7 => hold.captured(1),
                    _ => hold.voided(),
                }
            }
        };
        if matches!(ask, Ask::Hold(..)) {
            holds.push((ledger, ask));
        }
        let decided = Arc::new(Mutex::new(DateTime::<Utc>::UNIX_EPOCH));
        let before = head(&path).await;
        let answer = ledgers[ledger].ask_at(&path, ask, None, decided.clone());
        let outcome = if chance.below(8) == 0 {
            let looks = 1 + chance.below(200);
            impatient(answer, looks).await
        } else {
            Some(answer.await)
        };
        let decided = *decided.lock().expect("nobody panics with it");
        seen.push(Seen { ledger, ask, decided, heads: (before, head(&path).await), outcome });
        if chance.below(16) == 0 {
            let loaded = ledgers[ledger].load(&path).await;
            assert!(loaded.position.number <= head(&path).await);
        }
    }
    seen
}

/// Ends writers' backends until it is enough.
async fn faults(stage: Arc<Stage>, enough: CancellationToken) -> i64 {
    let mut ended = 0;
    while !enough.is_cancelled() {
        ended += stage.log.terminate_writers().await;
        stage.let_others_go_on().await;
    }
    ended
}

/// One ledger's history: the states in front of and behind each event.
struct History {
    events: Vec<(i64, CreditLedgerEvent)>,
    states: Vec<CreditLedger>,
    /// Which events somebody was told of, or nobody can know.
    accounted: Vec<bool>,
}

impl History {
    async fn of(stage: &Stage, ledger: &Ledger) -> Self {
        stage.truth(ledger).await;
        let events = stage.history(ledger).await;
        let mut states = vec![CreditLedger::default()];
        for (_, event) in &events {
            let mut state = states.last().cloned().unwrap_or_default();
            state.apply(event.clone());
            states.push(state);
        }
        let accounted = vec![false; events.len()];
        Self { events, states, accounted }
    }

    /// How many events there were up to a position.
    fn until(&self, position: i64) -> usize {
        self.events.partition_point(|(at, _)| *at <= position)
    }

    fn check(&mut self, seen: &Seen) {
        let between = self.until(seen.heads.0)..=self.until(seen.heads.1);
        let command = || seen.ask.command(seen.decided);
        let context = || format!("{:?} between {:?}: {:?}", seen.ask, seen.heads, seen.outcome);
        match &seen.outcome {
            Some(Ok(Executed::Done { events, position })) if !events.is_empty() => {
                let end = self.until(position.number);
                let first = end - events.len();
                assert!(position.number > seen.heads.0 && position.number <= seen.heads.1, "{}", context());
                let stored: Vec<_> = self.events[first..end].iter().map(|(_, event)| event.clone()).collect();
                assert_eq!(&stored, events, "{}", context());
                assert_eq!(self.states[first].decide(command()).as_ref(), Ok(events), "{}", context());
                assert!(self.accounted[first..end].iter().all(|accounted| !accounted), "acknowledged twice");
                self.accounted[first..end].fill(true);
            }
            Some(Ok(Executed::Done { .. })) => {
                let mut states = self.states[between].iter();
                assert!(states.any(|state| state.decide(command()) == Ok(Vec::new())), "{}", context());
            }
            Some(Err(CommandError::Refused(refusal))) => {
                let mut states = self.states[between].iter();
                assert!(states.any(|state| state.decide(command()).as_ref() == Err(refusal)), "{}", context());
            }
            Some(Err(CommandError::Conflict | CommandError::Unavailable)) => {}
            Some(Err(CommandError::OutcomeUnknown)) | None => self.perhaps(seen),
            other => panic!("{other:?}"),
        }
    }

    /// Its events may be there, decided on what was in front of them.
    fn perhaps(&mut self, seen: &Seen) {
        for place in 0..self.events.len() {
            let state = &self.states[place];
            if let Ok(events) = state.decide(seen.ask.command(seen.decided))
                && events.first() == Some(&self.events[place].1)
                && !self.accounted[place]
            {
                self.accounted[place..place + events.len()].fill(true);
                return;
            }
        }
    }
}

/// Gives a ledger a past of so many events, longer than the command path reads at first, so that snapshots are of use.
async fn past(path: &CommandPath, ledger: &Ledger, events: usize) {
    if events > 0 {
        done(ledger.ask(path, Ask::grant(1_000)).await);
        let holds: Vec<Ask> = (0..events / 2).map(|_| Ask::hold(1)).collect();
        let asks = holds.iter().chain(&holds).enumerate();
        let asks = asks.map(|(place, hold)| if place < holds.len() { *hold } else { hold.captured(1) });
        join_all(asks.map(|ask| ledger.ask(path, ask))).await.into_iter().for_each(|outcome| drop(done(outcome)));
    }
}

async fn simulate(test: &str, options: CommandPathOptions, with_faults: bool, before: usize) {
    let chance = Chance::seeded(test);
    let stage = Arc::new(Stage::fresh().await);
    let ledgers: Arc<Vec<Ledger>> = Arc::new((0..LEDGERS).map(|_| Ledger::fresh()).collect());
    let nodes: Vec<CommandPath> = (0..NODES)
        .map(|_| {
            let node = stage.log.node();
            stage.path_with(node.clone(), Some(node), &options)
        })
        .collect();
    let historian = stage.path();
    for ledger in ledgers.iter() {
        past(&historian, ledger, before).await;
    }
    let enough = CancellationToken::new();
    let faults = with_faults.then(|| tokio::spawn(faults(stage.clone(), enough.clone())));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let chance = Chance(chance.0.wrapping_add(0x9e37_79b9 * (1 + number as u64)) | 1);
        clients.spawn(client(nodes[number % NODES].clone(), ledgers.clone(), chance));
    }
    let seen: Vec<Seen> = clients.join_all().await.into_iter().flatten().collect();
    enough.cancel();
    if let Some(faults) = faults {
        assert!(faults.await.expect("it ends") > 0, "nothing was ended");
    }
    let written =
        |outcome: &Option<Outcome>| matches!(outcome, Some(Ok(Executed::Done { events, .. })) if !events.is_empty());
    let refused = |outcome: &Option<Outcome>| matches!(outcome, Some(Err(CommandError::Refused(_))));
    let conflict = |outcome: &Option<Outcome>| matches!(outcome, Some(Err(CommandError::Conflict)));
    let count = |which: &dyn Fn(&Option<Outcome>) -> bool| seen.iter().filter(|one| which(&one.outcome)).count();
    let gone = count(&|outcome| outcome.is_none());
    let (written, refused, conflicts) = (count(&written), count(&refused), count(&conflict));
    eprintln!(
        "{test}: {} commands, {written} written, {refused} refused, {conflicts} conflicts, {gone} gone",
        seen.len()
    );
    assert!(written > 50 && refused > 5, "{written} written, {refused} refused");

    // What was dropped may still be on its way; behind a command of every node and ledger nothing is.
    for node in &nodes {
        for ledger in ledgers.iter() {
            done(ledger.ask(node, Ask::grant(1)).await);
        }
    }
    for (number, ledger) in ledgers.iter().enumerate() {
        let mut history = History::of(&stage, ledger).await;
        history.accounted[..before].fill(true);
        let of_it = || seen.iter().filter(|one| one.ledger == number);
        let unknown = |one: &&Seen| matches!(one.outcome, None | Some(Err(CommandError::OutcomeUnknown)));
        of_it().filter(|one| !unknown(one)).for_each(|one| history.check(one));
        of_it().filter(unknown).for_each(|one| history.check(one));
        let nobodys = history.accounted.iter().filter(|accounted| !**accounted).count();
        assert_eq!(nobodys, NODES, "all but the last grants were asked for: {:?}", history.events);
        for node in &nodes {
            assert_eq!(ledger.load(node).await.state, *history.states.last().expect("at least the first"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l08_every_answer_under_faults_is_that_of_a_state_of_its_time() {
    simulate("faults", CommandPathOptions::default(), true, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_l08_every_answer_with_little_cache_and_many_snapshots_is_that_of_a_state_of_its_time() {
    let options = CommandPathOptions { cache_bytes: 4_096, snapshot_every: 3 };
    simulate("little cache", options, false, 301).await;
}
