//! Two ends at once: a withdrawal, a deadline and a delivery race; a capture comes after the void; a model is silent (L10, U13, U14).

use std::collections::BTreeMap;
use std::time::Duration;

use atelier_commands::process::{DispatcherOptions, Work, enqueue};
use atelier_domain::{AccountId, Credits, GenerationId, LedgerId};
use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::sleep;

use super::crash::life::Life;
use super::crash::world::{Model, World};
use super::crash::{ask_for_one, newcomers, settle, truth, withdraw};

/// A lease, or a patience, that a test can wait for.
const SHORT: Duration = Duration::from_millis(600);
/// The most rounds of one race, and the least.
const ROUNDS: std::ops::RangeInclusive<usize> = 10..=40;
/// The longest head start of either side, microseconds.
const LONGEST: i64 = 1_000_000;

/// A job whose picture is about to come.
async fn nearly_done(world: &World, life: &Life, account: AccountId) -> GenerationId {
    world.model.send_replace(Model::IsSilent);
    world.waiting.send_replace(0);
    let accepted = ask_for_one(life, account, None).await.expect("alive").expect("accepted");
    world.until_waiting(1).await;
    // Its run limit is asked for by the follower of its start, which the model did not wait for.
    world.until_timers("time_out_generation", 1).await;
    accepted.generation
}

/// Races the delivery against something else until each has won; how often they did. Whoever has won gives the other a head start, a
/// longer one each time, so that the two come as close as the machine of the day allows.
async fn race(against: impl AsyncFn(&World, &Life, AccountId, GenerationId)) -> BTreeMap<String, usize> {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, *ROUNDS.end()).await;
    let mut won = BTreeMap::new();
    let (mut head_start, mut step) = (0_i64, 2_000_i64);
    for account in accounts {
        let job = nearly_done(&world, &life, account).await;
        let pause = Duration::from_micros(head_start.unsigned_abs());
        if head_start < 0 {
            against(&world, &life, account, job).await;
            sleep(pause).await;
            world.model.send_replace(Model::Draws);
        } else {
            world.model.send_replace(Model::Draws);
            sleep(pause).await;
            against(&world, &life, account, job).await;
        }
        assert!(life.rests().await);
        settle(&world, &life).await;
        let ended = truth::check(&world, account).await;
        assert_eq!((ended.len(), &ended[0].job), (1, &job.to_string()));
        let delivered = ended[0].how == "GenerationSucceeded";
        *won.entry(ended[0].how.clone()).or_default() += 1;
        if won.len() == 2 && won.values().sum::<usize>() >= *ROUNDS.start() {
            break;
        }
        step = if won.len() == 1 { (step * 2).min(LONGEST) } else { 2_000 };
        head_start = (head_start + if delivered { -step } else { step }).clamp(-LONGEST, LONGEST);
    }
    life.end().await;
    won
}

#[tokio::test(flavor = "multi_thread")]
async fn u13_l10_a_withdrawal_and_a_delivery_at_once_have_one_winner() {
    let won = race(async |_, life, account, job| {
        withdraw(life, account, job).await.expect("alive").map_or_else(
            |refused| assert_eq!(refused.to_string(), "The generation has already ended."),
            |cancelled| assert!(!cancelled.repeated),
        );
    })
    .await;
    let winners: Vec<&str> = won.keys().map(String::as_str).collect();
    assert_eq!(winners, ["GenerationCancelled", "GenerationSucceeded"], "each won now and then: {won:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn u14_l10_a_deadline_and_a_delivery_at_once_have_one_winner() {
    let won = race(async |world, _, _, _| {
        assert_eq!(world.fire("time_out_generation").await, 1);
    })
    .await;
    let winners: Vec<&str> = won.keys().map(String::as_str).collect();
    assert_eq!(winners, ["GenerationFailed", "GenerationSucceeded"], "each won now and then: {won:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_a_capture_after_the_deadline_takes_nothing() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    let job = nearly_done(&world, &life, accounts[0]).await;
    world.fire_each("time_out_generation", 1).await;
    // The worker still waits for the model, so the node is not at rest; the hold ends all the same.
    let voided = "select count(*) from events where event_type = 'HoldVoided'";
    while sqlx::query_scalar::<_, i64>(voided).fetch_one(&world.database.pool).await.expect("the log answers") == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let ledger = LedgerId::live(accounts[0]);
    let capture = Work::CaptureHold { ledger, generation: job, amount: Credits::new(100) };
    enqueue(&world.database.pool, "late:capture:0", &capture).await.expect("work is enqueued");
    world.model.send_replace(Model::Draws);
    assert!(life.rests().await);
    settle(&world, &life).await;
    assert_eq!(truth::check(&world, accounts[0]).await[0].how, "GenerationFailed");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_a_model_that_never_answers_keeps_no_credits_and_no_worker() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 2).await;
    life.end().await;
    let life = Life::with(&world, DispatcherOptions { lease: SHORT, ..DispatcherOptions::default() }).await;
    world.model.send_replace(Model::NeverAnswers);
    // As many as the node renders at once.
    for _ in 0..2 {
        ask_for_one(&life, accounts[0], None).await.expect("alive").expect("accepted");
    }
    world.until_waiting(2).await;
    world.fire_each("time_out_generation", 2).await;
    world.model.send_replace(Model::Draws);
    ask_for_one(&life, accounts[1], None).await.expect("alive").expect("accepted");
    assert!(life.rests().await, "their places are free again");
    settle(&world, &life).await;
    let ends: Vec<String> = truth::check(&world, accounts[0]).await.into_iter().map(|ended| ended.how).collect();
    assert_eq!(ends, ["GenerationFailed", "GenerationFailed"]);
    assert_eq!(truth::check(&world, accounts[1]).await[0].how, "GenerationSucceeded");
    life.end().await;
}

/// How often a job was begun.
async fn begun(world: &World) -> i64 {
    let count = sqlx::query_scalar("select count(*) from events where event_type = 'GenerationStarted'");
    count.fetch_one(&world.database.pool).await.expect("the log answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_a_model_that_does_not_answer_for_too_long_is_asked_again() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    life.end().await;
    let impatient = DispatcherOptions { render_within: SHORT, ..DispatcherOptions::default() };
    let life = Life::with(&world, impatient).await;
    world.model.send_replace(Model::NeverAnswers);
    ask_for_one(&life, accounts[0], None).await.expect("alive").expect("accepted");
    world.until_waiting(1).await;
    world.model.send_replace(Model::Draws);
    let left = "select count(*) from process_work where lane = 'render'";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&world.database.pool).await.expect("the list answers") > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(life.rests().await);
    assert_eq!(begun(&world).await, 2);
    settle(&world, &life).await;
    assert_eq!(truth::check(&world, accounts[0]).await[0].how, "GenerationSucceeded");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_takes_longer_than_its_lease_keeps_it() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    life.end().await;
    let life = Life::with(&world, DispatcherOptions { lease: SHORT, ..DispatcherOptions::default() }).await;
    let job = nearly_done(&world, &life, accounts[0]).await;
    // Until the lease that it began with has run out, by the database's clock.
    let first = "select leased_until from process_work where lane = 'render'";
    let first: DateTime<Utc> = sqlx::query_scalar(first).fetch_one(&world.database.pool).await.expect("the lease");
    let over = "select now() > $1 + interval '0.2 seconds'";
    while !sqlx::query_scalar::<_, bool>(over).bind(first).fetch_one(&world.database.pool).await.expect("a clock") {
        sleep(Duration::from_millis(5)).await;
    }
    world.model.send_replace(Model::Draws);
    assert!(life.rests().await);
    assert_eq!(begun(&world).await, 1, "nobody took it over");
    settle(&world, &life).await;
    assert_eq!(truth::check(&world, accounts[0]).await[0].job, job.to_string());
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_a_worker_that_looks_whether_it_is_wanted_does_not_wait_for_itself() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    life.end().await;
    let life = Life::with(&world, DispatcherOptions { lease: SHORT, ..DispatcherOptions::default() }).await;
    nearly_done(&world, &life, accounts[0]).await;
    // The report of the success is on its way for longer than the time between two looks at the job.
    let mut superuser = PgConnection::connect(&world.database.superuser_url).await.expect("the superuser connects");
    superuser.execute("begin; lock table events in exclusive mode").await.expect("the lock is free");
    world.model.send_replace(Model::Draws);
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut superuser).await.expect("the activity") == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    superuser.execute("select pg_sleep(0.5); rollback").await.expect("the lock is given back");
    assert!(life.rests().await);
    settle(&world, &life).await;
    assert_eq!(truth::check(&world, accounts[0]).await[0].how, "GenerationSucceeded");
    life.end().await;
}
