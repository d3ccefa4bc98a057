//! Given/when/then tests of the generation.

use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::policy::catalogue::MediaType;
use crate::text::Prompt;
use crate::{AccountId, Credits, Environment, Personal};

type GenerationTest = TestFramework<Generation>;

fn terms(publish: bool) -> RequestTerms {
    RequestTerms {
        account_id: AccountId(Uuid::from_u128(1)),
        environment: Environment::Live,
        api_key_id: None,
        model: "z-image-turbo".into(),
        media_type: MediaType::Image,
        width: 512,
        height: 512,
        num_images: 2,
        seed: 7,
        unit_price: Credits::new(100),
        price: Credits::new(200),
        price_version: 1,
        publish,
    }
}

fn prompt() -> Prompt {
    Prompt::parse("a calm ocean").unwrap()
}

fn requested(publish: bool) -> GenerationEvent {
    GenerationEvent::GenerationRequested { terms: terms(publish), prompt: Personal::Open(prompt()) }
}

fn request() -> GenerationCommand {
    GenerationCommand::Request(Box::new(GenerationRequest { terms: terms(true), prompt: prompt() }))
}

fn started(attempt: u32) -> GenerationEvent {
    GenerationEvent::GenerationStarted { attempt }
}

fn output() -> Output {
    Output { object: "a/b/1/0.png".into(), media_type: "image/png".into(), width: 512, height: 512, bytes: 9 }
}

fn succeeded(count: usize) -> GenerationEvent {
    GenerationEvent::GenerationSucceeded { outputs: vec![output(); count], price: Credits::new(100 * count as i64) }
}

fn succeed(attempt: u32, count: usize) -> GenerationCommand {
    GenerationCommand::Succeed { attempt, outputs: vec![output(); count] }
}

#[test]
fn a_request_is_accepted_once() {
    GenerationTest::with(()).given_no_previous_events().when(request()).then_expect_events(vec![requested(true)]);
    GenerationTest::with(()).given(vec![requested(true)]).when(request()).then_expect_events(vec![]);
    GenerationTest::with(())
        .given(vec![requested(false)])
        .when(request())
        .then_expect_error(GenerationError::AlreadyUsed);
}

#[test]
fn an_abandoned_id_refuses_a_late_request() {
    let abandoned = GenerationEvent::GenerationAbandoned {};
    GenerationTest::with(())
        .given_no_previous_events()
        .when(GenerationCommand::Abandon)
        .then_expect_events(vec![abandoned.clone()]);
    GenerationTest::with(()).given(vec![abandoned]).when(request()).then_expect_error(GenerationError::AlreadyUsed);
    GenerationTest::with(())
        .given(vec![requested(true)])
        .when(GenerationCommand::Abandon)
        .then_expect_error(GenerationError::AlreadyUsed);
}

#[test]
fn a23_success_publishes_when_the_acceptance_said_so() {
    GenerationTest::with(())
        .given(vec![requested(true), started(1)])
        .when(succeed(1, 2))
        .then_expect_events(vec![succeeded(2), GenerationEvent::GenerationPublished {}]);
    GenerationTest::with(())
        .given(vec![requested(false), started(1)])
        .when(succeed(1, 2))
        .then_expect_events(vec![succeeded(2)]);
}

#[test]
fn u12_partial_success_costs_what_was_delivered() {
    GenerationTest::with(())
        .given(vec![requested(false), started(1)])
        .when(succeed(1, 1))
        .then_expect_events(vec![succeeded(1)]);
}

#[test]
fn a_result_must_fit_the_request() {
    for command in [succeed(1, 0), succeed(1, 3), succeed(2, 1), succeed(0, 1)] {
        GenerationTest::with(())
            .given(vec![requested(true), started(1)])
            .when(command)
            .then_expect_error(GenerationError::InvalidResult);
    }
}

#[test]
fn u13_cancel_is_allowed_while_queued_and_running() {
    for given in [vec![requested(true)], vec![requested(true), started(1)]] {
        GenerationTest::with(())
            .given(given)
            .when(GenerationCommand::Cancel)
            .then_expect_events(vec![GenerationEvent::GenerationCancelled {}]);
    }
}

#[test]
fn u14_a_late_result_changes_nothing() {
    let ends = [
        GenerationEvent::GenerationCancelled {},
        GenerationEvent::GenerationFailed { reason: FailureReason::Timeout },
        succeeded(1),
    ];
    for end in ends {
        GenerationTest::with(())
            .given(vec![requested(true), started(1), end])
            .when(succeed(1, 1))
            .then_expect_error(GenerationError::AlreadyEnded);
    }
}

#[test]
fn a_crashed_worker_s_job_is_started_again() {
    GenerationTest::with(())
        .given(vec![requested(true), started(1)])
        .when(GenerationCommand::Start)
        .then_expect_events(vec![started(2)]);
}

#[test]
fn a31_a_finished_job_is_deleted_once_and_a_running_one_is_not() {
    let deleted = GenerationEvent::GenerationDeleted {};
    GenerationTest::with(())
        .given(vec![requested(true), started(1), succeeded(1)])
        .when(GenerationCommand::Delete)
        .then_expect_events(vec![deleted.clone()]);
    GenerationTest::with(())
        .given(vec![requested(true), started(1), succeeded(1), deleted])
        .when(GenerationCommand::Delete)
        .then_expect_events(vec![]);
    GenerationTest::with(())
        .given(vec![requested(true), started(1)])
        .when(GenerationCommand::Delete)
        .then_expect_error(GenerationError::StillRunning);
}
