//! Process managers in batches: as many statements for a thousand events as for one, and the same rows.

use std::sync::Arc;

use atelier_commands::process::{GenerationCharge, Notifier, ProcessManager, react};
use atelier_domain::credit_ledger::CreditLedgerEvent;
use atelier_domain::generation::{FailureReason, GenerationEvent, RequestTerms};
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::{
    AccountId, Actor, Credits, Envelope, Environment, EventId, EventMetadata, GenerationId, HoldId, LedgerId, LogEvent,
    Personal, Sealed,
};
use chrono::{DateTime, TimeDelta};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::crash::link::Link;
use super::crash::steps::{Side, Steps};
use crate::harness::TestDatabase;

const OWNER: AccountId = AccountId(Uuid::from_u128(1));

fn job(number: u128) -> GenerationId {
    GenerationId(Uuid::from_u128(1_000 + number))
}

fn envelope(position: i64, event: LogEvent) -> Arc<Envelope> {
    let id = Uuid::from_u128(1_000_000 + u128::from(position.unsigned_abs()));
    let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
    let at = DateTime::from_timestamp(1_700_000_000, 0).expect("an instant") + TimeDelta::seconds(position);
    Arc::new(Envelope {
        position,
        event_id: EventId(id),
        sequence: 1,
        decided_at: at,
        recorded_at: at,
        metadata,
        event,
    })
}

fn held(job: GenerationId) -> LogEvent {
    let placed = CreditLedgerEvent::HoldPlaced {
        hold_id: HoldId(job.0),
        generation_id: job,
        amount: Credits::new(100),
        price_version: 1,
        budget: None,
        entries: Vec::new(),
    };
    LogEvent::CreditLedger(LedgerId::live(OWNER), placed)
}

fn requested(job: GenerationId) -> LogEvent {
    let terms = RequestTerms {
        account_id: OWNER,
        environment: Environment::Live,
        api_key_id: None,
        model: "any".to_owned(),
        media_type: MediaType::Video,
        width: 64,
        height: 64,
        num_images: 1,
        seed: 1,
        unit_price: Credits::new(100),
        price: Credits::new(100),
        price_version: 1,
        publish: true,
    };
    let prompt = Personal::Sealed(Sealed::from_text("p1.sealed".to_owned()));
    LogEvent::Generation(job, GenerationEvent::GenerationRequested { terms, prompt })
}

/// The stories of many jobs: the first half is still at work at the end, some others end within one batch, some in the next.
fn stories(jobs: u128) -> Vec<Arc<Envelope>> {
    let all = || (0..jobs).map(job);
    let started = |job| LogEvent::Generation(job, GenerationEvent::GenerationStarted { attempt: 1 });
    let failed = GenerationEvent::GenerationFailed { reason: FailureReason::Timeout };
    let ended = all().skip(usize::try_from(jobs / 2).expect("small"));
    let events = all().map(held).chain(all().map(requested)).chain(all().map(started));
    let events = events.chain(ended.map(|job| LogEvent::Generation(job, failed.clone())));
    events.zip(1..).map(|(event, position)| envelope(position, event)).collect()
}

async fn feed<M: ProcessManager>(connection: &mut PgConnection, events: &[Arc<Envelope>]) {
    let mut transaction = connection.begin().await.expect("a transaction begins");
    react::<M>(&mut transaction, events).await.expect("the rows are written");
    transaction.commit().await.expect("it commits");
}

async fn rows(database: &TestDatabase) -> Vec<String> {
    let rows = "select manager || ' ' || instance || ' ' || state::text from process_states \
        union all select id || ' ' || lane || ' ' || payload::text || ' ' || \
            case when lane = 'timer' then due_at::text else 'at once' end from process_work order by 1";
    sqlx::query_scalar(rows).fetch_all(&database.pool).await.expect("the rows")
}

/// The statements that write, in order.
async fn written(steps: &Steps) -> Vec<String> {
    steps.seen().into_iter().filter(|step| step.side == Side::After).map(|step| step.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_written_in_one_statement_for_each_kind_of_row() {
    let events = stories(300);
    let (one, many) = (TestDatabase::fresh().await, TestDatabase::fresh().await);
    let steps = Arc::new(Steps::default());
    let link = Link::to(&many.url, steps.clone()).await;
    let mut connection = PgConnection::connect(&link.url).await.expect("the application connects");
    let (first, rest) = events.split_at(900);
    feed::<GenerationCharge>(&mut connection, first).await;
    let wrote = ["insert states GenerationCharge", "insert work GenerationCharge", "commit GenerationCharge"];
    assert_eq!(written(&steps).await, wrote, "for 900 events");
    steps.begin(None);
    // Who has been told that a job began asks for its run limit once more, which is the same work, and writes no state anew.
    feed::<GenerationCharge>(&mut connection, &events[600..900]).await;
    assert_eq!(written(&steps).await, ["insert work GenerationCharge", "commit GenerationCharge"]);
    steps.begin(None);
    feed::<GenerationCharge>(&mut connection, rest).await;
    let wrote = ["delete states GenerationCharge", "insert work GenerationCharge", "commit GenerationCharge"];
    assert_eq!(written(&steps).await, wrote);
    for batch in events.chunks(450) {
        feed::<Notifier>(&mut connection, batch).await;
    }

    let mut connection = PgConnection::connect(&one.url).await.expect("the application connects");
    for event in &events {
        feed::<GenerationCharge>(&mut connection, std::slice::from_ref(event)).await;
        feed::<Notifier>(&mut connection, std::slice::from_ref(event)).await;
    }
    let rows = (rows(&one).await, rows(&many).await);
    assert_eq!(rows.0, rows.1, "one by one, the rows are the same");
    // 150 at work for each manager; a check, a render, a longest wait and a run limit for each job; removal, void and both notices
    // for each end.
    assert_eq!(rows.0.len(), 2 * 150 + 4 * 300 + 4 * 150);
}
