//! Processes that die: at every single step of a paid generation, and at random ones, again and again (L10, L22, A33, DESIGN 4).

pub mod everywhere;
pub mod life;
pub mod link;
mod random;
mod statements;
pub mod steps;
pub mod truth;
pub mod world;

use atelier_commands::UseCaseError;
use atelier_commands::command_path::Target;
use atelier_commands::use_cases::{Accepted, CancelGeneration, Cancelled, RequestGeneration};
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, Actor, Environment, GenerationId};
use atelier_server::studio::Studio;
use futures::future::join_all;

use life::Life;
use world::World;

/// A request for one picture of 100 credits.
fn request(account: AccountId, idempotency_key: Option<&str>) -> RequestGeneration {
    RequestGeneration {
        account,
        environment: Environment::Live,
        api_key: None,
        prompt: "A calm ocean at dawn".to_owned(),
        model: "z-image-turbo".to_owned(),
        width: Some(64),
        height: Some(64),
        num_images: None,
        seed: None,
        max_credits: None,
        publish: None,
        idempotency_key: idempotency_key.map(str::to_owned),
    }
}

/// Somebody asks for a picture; `None` when the node died before it had answered.
pub async fn ask_for_one(life: &Life, account: AccountId, key: Option<&str>) -> Option<Result<Accepted, UseCaseError>> {
    let request = request(account, key);
    life.ask(|studio| async move { request.run(&studio.write, &studio.write.request_context(Actor::Operator)).await })
        .await
}

/// Somebody withdraws it.
pub async fn withdraw(
    life: &Life,
    account: AccountId,
    generation: GenerationId,
) -> Option<Result<Cancelled, UseCaseError>> {
    let cancel = CancelGeneration { account, generation: Ok(generation), idempotency_key: None };
    life.ask(|studio| async move { cancel.run(&studio.write, &studio.write.request_context(Actor::Operator)).await })
        .await
}

async fn open_account(studio: &Studio, name: String) -> AccountId {
    let write = &studio.write;
    let account = AccountId(write.fresh_id());
    write.vault.store().create(account).await.expect("keys are made");
    let email = Email::parse(&format!("{name}@example.com")).expect("an address");
    let open = AccountCommand::Open {
        email,
        username: Username::parse(&name).expect("a name"),
        minimum_age: 18,
        vouched_by: None,
    };
    for command in [open, AccountCommand::VerifyEmail { address: None }] {
        let target = Target { id: account.to_string(), subject: account };
        let context = write.request_context(Actor::Operator);
        write.path.execute::<Account>(&target, &context, None, |_| command.clone()).await.expect("it is done");
    }
    account
}

/// Newcomers with 500 credits each, and the life in which they came.
pub async fn newcomers(world: &World, count: usize) -> (Life, Vec<AccountId>) {
    let life = Life::begin(world).await;
    let opened = life.ask(move |studio| async move {
        join_all((0..count).map(|number| open_account(&studio, format!("person{number}")))).await
    });
    let accounts = opened.await.expect("nobody dies here");
    assert!(life.rests().await);
    (life, accounts)
}

/// A fresh life in place of a dead one.
pub async fn reborn(world: &World, dead: Life) -> Life {
    dead.end().await;
    Life::begin(world).await
}

/// Lets everything come to its end: leases run out, timers fire.
pub async fn settle(world: &World, life: &Life) {
    world.time_passes().await;
    assert!(life.rests().await);
    for timer in ["abandon_if_not_requested", "fail_if_not_started", "time_out_generation"] {
        world.fire(timer).await;
        assert!(life.rests().await);
    }
}

/// Says something to whoever reads a failed test.
#[expect(clippy::print_stdout, reason = "the test harness shows it when the test fails")]
fn tell(what: &str) {
    println!("{what}");
}
