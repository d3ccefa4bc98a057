//! Random runs: several jobs at once, several deaths in a row, clients that repeat or give up or withdraw, timers that fire early,
//! leases that run out under a living worker.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use atelier_commands::{CommandError, RefusalCode, UseCaseError};
use atelier_domain::{AccountId, GenerationId};
use futures::future::join_all;

use super::life::Life;
use super::steps::Death;
use super::world::{Model, World};
use super::{ask_for_one, newcomers, reborn, settle, tell, truth, withdraw};

/// Runs, when `ATELIER_CRASH_RUNS` does not say.
const RUNS: usize = 60;
/// The most deaths of one run.
const DEATHS: u64 = 4;
/// About as many steps as three jobs take.
const STEPS: u64 = 90;

/// Numbers that a seed determines (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `below` - 1.
    fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    /// True in this many of a hundred.
    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// What a client knows of one request.
struct Client {
    key: Option<String>,
    known: Option<GenerationId>,
    gave_up: bool,
}

/// The clients ask, all at once; what each is answered must fit what it knew.
async fn ask(life: &Life, account: AccountId, clients: &mut [Client]) {
    let asking = clients.iter_mut().filter(|client| !client.gave_up).map(async |client| {
        match ask_for_one(life, account, client.key.as_deref()).await {
            None => client.gave_up = client.key.is_none(),
            Some(Ok(accepted)) => {
                let known = *client.known.get_or_insert(accepted.generation);
                assert_eq!(known, accepted.generation, "one key, one job");
                client.gave_up = client.key.is_none();
            }
            Some(Err(error)) => {
                assert!(came_to_nothing(&error), "{error:?}");
                client.gave_up = true;
            }
        }
    });
    join_all(asking).await;
}

/// The only refusal there is a reason for: the id was closed before its job came.
fn came_to_nothing(error: &UseCaseError) -> bool {
    matches!(error, CommandError::Refused(refusal) if refusal.code == RefusalCode::AlreadyEnded)
}

/// One run on an account of its own; the life that is left, and how often one ended.
async fn run(world: &World, mut life: Life, account: AccountId, dice: &mut Dice) -> (Life, u64) {
    let jobs = 1 + dice.below(3);
    let key = |number| dice_key(account, number);
    let mut clients: Vec<Client> = (0..jobs)
        .map(|number| Client { key: dice.percent(70).then(|| key(number)), known: None, gave_up: false })
        .collect();
    world.model.send_replace(if dice.percent(85) { Model::Draws } else { Model::Refuses });
    let planned = 1 + dice.below(DEATHS);
    let mut deaths = 0;
    for round in 0..=planned {
        let death = (round < planned).then(|| Death::Nth(usize::try_from(1 + dice.below(STEPS)).expect("small")));
        life.steps.begin(death);
        ask(&life, account, &mut clients).await;
        let withdrawn = clients.iter().find_map(|client| client.known).filter(|_| dice.percent(25));
        if let Some(generation) = withdrawn {
            withdraw(&life, account, generation).await;
        }
        for (timer, percent) in
            [("abandon_if_not_requested", 25), ("fail_if_not_started", 10), ("time_out_generation", 15)]
        {
            if dice.percent(percent) {
                world.fire(timer).await;
            }
        }
        if dice.percent(25) {
            // Under a living worker, which is overtaken.
            world.time_passes().await;
        }
        life.rests().await;
        if life.steps.dead() {
            deaths += 1;
            life = reborn(world, life).await;
            world.time_passes().await;
            for client in &mut clients {
                client.gave_up |= dice.percent(20);
            }
        }
    }
    life = at_last(world, life, dice).await;
    (life, deaths)
}

fn dice_key(account: AccountId, number: u64) -> String {
    format!("{account}-{number}")
}

/// A life without a death in which everything ends.
async fn at_last(world: &World, life: Life, dice: &mut Dice) -> Life {
    let life = if dice.percent(20) { reborn(world, life).await } else { life };
    life.steps.begin(None);
    settle(world, &life).await;
    life
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_l22_a33_random_deaths_in_a_row_lose_and_double_nothing() {
    let runs = from_environment("ATELIER_CRASH_RUNS").map_or(RUNS, |runs| usize::try_from(runs).expect("a count"));
    let seed = from_environment("ATELIER_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    tell(&format!("ATELIER_SEED={seed} ATELIER_CRASH_RUNS={runs}"));
    let world = World::open().await;
    let (mut life, accounts) = newcomers(&world, runs).await;
    let (mut deaths, mut ends) = (0, BTreeMap::<String, usize>::new());
    for (number, account) in accounts.into_iter().enumerate() {
        // A run can be replayed alone: its dice do not depend on the runs before it.
        let mut dice = Dice(seed.wrapping_add(number as u64));
        let died;
        (life, died) = run(&world, life, account, &mut dice).await;
        deaths += died;
        for ended in truth::check(&world, account).await {
            *ends.entry(ended.how).or_default() += 1;
        }
    }
    tell(&format!("paid generations: {runs} runs, {deaths} deaths, ends: {ends:?}"));
    assert!(deaths as usize > runs / 2, "processes died");
    assert!(ends.contains_key("GenerationSucceeded") && ends.len() >= 3, "of many kinds: {ends:?}");
    life.end().await;
}
