//! One death at each step of each story, before and after it, with a client that comes back and one that does not.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_commands::{CommandError, RefusalCode};
use atelier_domain::{AccountId, GenerationId};
use tokio::time::sleep;

use super::life::Life;
use super::steps::{Death, Side, Step};
use super::world::{Model, World};
use super::{ask_for_one, newcomers, reborn, settle, tell, truth, withdraw};

/// Stories of one account: its credits must last.
const STORIES_OF_ONE: usize = 4;

/// A way that a paid generation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// Hold, request, start, picture, success, capture, notice.
    Delivered,
    /// The model refuses: failure, void, notice.
    Refused,
    /// The request died between hold and job: the id is closed, the hold is voided.
    Abandoned,
    /// Withdrawn while the model works: void, and the picture that comes too late is removed.
    Cancelled,
}

impl Story {
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Refused, Self::Abandoned, Self::Cancelled];

    /// How it ends when nobody dies.
    pub const fn end(self) -> &'static str {
        match self {
            Self::Delivered => "GenerationSucceeded",
            Self::Refused => "GenerationFailed",
            Self::Abandoned => "GenerationAbandoned",
            Self::Cancelled => "GenerationCancelled",
        }
    }
}

/// Plays a story; its life, dead if it met the death.
pub async fn play(
    world: &World,
    life: Life,
    story: Story,
    account: AccountId,
    key: &str,
    death: Option<Death>,
) -> Life {
    let mut life = life;
    world.model.send_replace(Model::Draws);
    match story {
        Story::Delivered => {
            life.steps.begin(death);
            ask_for_one(&life, account, Some(key)).await;
        }
        Story::Refused => {
            // Until here it is the story of a delivery.
            at_work(world, &life, account, key).await;
            life.steps.begin(death);
            world.model.send_replace(Model::Refuses);
        }
        Story::Abandoned => {
            let name = "append GenerationRequested".to_owned();
            life.steps.begin(Some(Death::At(Step { side: Side::Before, name, nth: 1 })));
            assert!(ask_for_one(&life, account, Some(key)).await.is_none(), "it dies between hold and job");
            life = reborn(world, life).await;
            world.time_passes().await;
            assert!(life.rests().await);
            life.steps.begin(death);
            assert_eq!(world.fire("abandon_if_not_requested").await, 1);
        }
        Story::Cancelled => {
            let generation = at_work(world, &life, account, key).await;
            life.steps.begin(death);
            withdraw(&life, account, generation).await;
            // The picture comes when everything that the withdrawal asks for is done, or its process dead.
            while !life.steps.dead() && !world.is_idle_but_for_renders().await {
                sleep(Duration::from_millis(3)).await;
            }
            world.model.send_replace(Model::Draws);
        }
    }
    life.rests().await;
    life
}

/// A job whose picture is about to come.
async fn at_work(world: &World, life: &Life, account: AccountId, key: &str) -> GenerationId {
    world.model.send_replace(Model::IsSilent);
    world.waiting.send_replace(0);
    let accepted = ask_for_one(life, account, Some(key)).await.expect("alive").expect("accepted");
    world.until_waiting(1).await;
    accepted.generation
}

/// How many steps come before the job is begun: until then a client that comes back may have to resume it.
fn until_begun(story: Story, steps: &[Step]) -> usize {
    let begun = steps.iter().position(|step| step.name == "append GenerationStarted").unwrap_or(0);
    if story == Story::Delivered { begun } else { 0 }
}

/// The client asks again with the same key, and is told of the same job, or that it came to nothing.
async fn come_back(life: &Life, account: AccountId, key: &str) {
    match ask_for_one(life, account, Some(key)).await.expect("nobody dies here") {
        Ok(_) => {}
        Err(CommandError::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::AlreadyEnded),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_l22_a33_a_death_at_any_single_step_loses_and_doubles_nothing() {
    let world = World::open().await;
    let (mut life, accounts) = newcomers(&world, 120).await;
    let mut credit = accounts.into_iter().flat_map(|account| [account; STORIES_OF_ONE]).enumerate();
    let mut deaths = 0;
    for story in Story::ALL {
        let (number, account) = credit.next().expect("enough newcomers");
        life = play(&world, life, story, account, &format!("key-{number}"), None).await;
        let steps = life.steps.seen();
        life.steps.begin(None);
        settle(&world, &life).await;
        let ended = truth::check(&world, account).await;
        assert_eq!(ended.last().expect("a job").how, story.end());
        let mut met = BTreeSet::new();
        for (place, step) in steps.iter().enumerate() {
            for returns in if place < until_begun(story, &steps) { &[false, true][..] } else { &[false] } {
                let (number, account) = credit.next().expect("enough newcomers");
                let key = format!("key-{number}");
                life = play(&world, life, story, account, &key, Some(Death::At(step.clone()))).await;
                if life.steps.dead() {
                    deaths += 1;
                    met.insert((step.side, step.name.clone()));
                    life = reborn(&world, life).await;
                }
                life.steps.begin(None);
                world.time_passes().await;
                if *returns {
                    come_back(&life, account, &key).await;
                }
                settle(&world, &life).await;
                let ended = truth::check(&world, account).await;
                let jobs = ended.len();
                assert!(jobs <= STORIES_OF_ONE, "one job for one key: {step}");
                if *returns {
                    // Whoever comes back in time is delivered.
                    assert_eq!(ended.last().map(|ended| ended.how.as_str()), Some(story.end()), "{step}");
                }
            }
        }
        // What runs at the same time may come in another order, so a single occurrence may be missed; no kind of step may be.
        let all: BTreeSet<_> = steps.iter().map(|step| (step.side, step.name.clone())).collect();
        tell(&format!("{story:?}: {} steps, {} kinds", steps.len(), all.len()));
        assert_eq!(met, all, "{story:?}: a death before and after each");
    }
    tell(&format!("{deaths} deaths"));
    life.end().await;
}
