//! A log that an older release began is folded as if today's had written it all; what a newer one wrote is not guessed at (DESIGN 3).

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::command_path::{CommandError, Target};
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, HoldLimits};
use atelier_domain::upcast::upcasters;
use atelier_domain::{AccountId, Credits, GenerationId, HoldId, LedgerId};
use atelier_projections::models::all;
use atelier_projections::{Feed, Runner, RunnerOptions};
use chrono::{DateTime, Utc};
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext, EventStore};
use postgres_es::PostgresEventRepository;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{committed, parse, samples};
use crate::harness::{TestDatabase, TestStudio};

const GRANT: &str = "CreditsGranted";
const METADATA: &str = r#"{"actor":"operator","correlation_id":"00000000-0000-0000-0000-000000000001","causation_id":"00000000-0000-0000-0000-000000000001"}"#;

/// The payload of a committed form of a ledger's event, with an expiry that nobody will live to see.
fn form(event: &str, version: u32) -> Value {
    let text = &committed()[&format!("CreditLedger.{event}.v{version}.json")];
    parse(&text.replace("2026-01-01T", "2999-01-01T"))
}

/// A grant as version 1 stored it.
fn without_a_reason() -> Value {
    form(GRANT, 1)
}

/// The same grant as today's version says it.
fn with_its_reason_unrecorded() -> Value {
    let mut grant = form(GRANT, 2);
    grant[GRANT]["reason"] = json!({ "kind": "unrecorded" });
    grant
}

/// Writes an event at the head of the log, as the release of that version would have: the same on every log but for nothing.
async fn write(database: &TestDatabase, ledger: &str, sequence: i64, (name, version, payload): (&str, &str, Value)) {
    let mut superuser = PgConnection::connect(&database.superuser_url).await.expect("the superuser connects");
    let insert = "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position, \
                  event_id, decided_at, recorded_at) select 'CreditLedger', $1, $2, $3, $4, $5::json, $6::json, n, \
                  lpad(n::text, 32, '0')::uuid, $7, $7 from (select coalesce(max(position), 0) + 1 as n from events) head";
    let insert = sqlx::query(insert).bind(ledger).bind(sequence).bind(name).bind(version).bind(payload.to_string());
    let instant: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).expect("an instant");
    insert.bind(METADATA).bind(instant).execute(&mut superuser).await.expect("the superuser may");
    superuser.close().await.expect("the superuser leaves");
}

/// A log that begins with this grant, and goes on with events that never changed.
async fn log_that_begins(version: &str, grant: Value) -> TestDatabase {
    let database = TestDatabase::fresh().await;
    let ledger = samples::stream("CreditLedger");
    write(&database, &ledger, 1, (GRANT, version, grant)).await;
    for (sequence, name) in [(2, "HoldPlaced"), (3, "HoldCaptured")] {
        write(&database, &ledger, sequence, (name, "1", form(name, 1))).await;
    }
    database
}

/// Every row of every read model, as text.
async fn rows(pool: &PgPool) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for projection in all() {
        for table in projection.tables() {
            let dump =
                format!("select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from read_models.{table} t");
            rows.push((*table, sqlx::query_scalar(&dump).fetch_one(pool).await.expect("rows")));
        }
    }
    rows
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "still not so: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// How many followers are at this position, in this state.
async fn followers(pool: &PgPool, position: i64, state: &str) -> usize {
    let names: Vec<&str> = all().iter().map(|projection| projection.name()).collect();
    let count = "select count(*) from checkpoints where name = any($1) and position = $2 and state = $3";
    let count = sqlx::query_scalar::<_, i64>(count).bind(names).bind(position).bind(state);
    usize::try_from(count.fetch_one(pool).await.expect("checkpoints")).expect("a count")
}

/// Follows a log with every projection to its head at this position; the runner has stopped.
async fn followed(pool: &PgPool, head: i64) -> Arc<Runner> {
    let options = RunnerOptions { rest: Duration::from_millis(5), ..RunnerOptions::default() };
    let runner = Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), all(), options));
    runner.register().await.expect("checkpoints");
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    runner.clone().start(&tasks, &stop);
    let at_head = async || followers(pool, head, "running").await == all().len();
    until("every projection is at the head", at_head).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    runner
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_every_projection_folds_an_older_release_s_log_as_its_twin_of_today() {
    let old = log_that_begins("1", without_a_reason()).await;
    let twin = log_that_begins("2", with_its_reason_unrecorded()).await;
    let runner = followed(&old.pool, 3).await;
    followed(&twin.pool, 3).await;
    let expected = rows(&twin.pool).await;
    assert_eq!(rows(&old.pool).await, expected);
    let lot = without_a_reason()[GRANT]["lot_id"].as_str().expect("a lot's id").to_owned();
    let filled = expected.iter().filter(|(_, rows)| rows.contains(&lot)).count();
    assert!(filled >= 2, "the grant shows in balance and history: {expected:?}");

    // Built again from the first event, beside what was followed.
    for projection in all() {
        let rebuilt = runner.rebuild(projection.name(), |_, _| ()).await.expect("nothing stops a rebuild");
        assert_eq!((rebuilt.position, rebuilt.tables.len()), (3, projection.tables().len()));
    }
    assert_eq!(rows(&old.pool).await, expected);

    // And by cqrs-es's own store, with the same upcasters.
    let mut states = Vec::new();
    for database in [&old, &twin] {
        let repository = PostgresEventRepository::new(database.pool.clone());
        let store = PersistedEventStore::<_, CreditLedger>::new_event_store(repository).with_upcasters(upcasters());
        let loaded = store.load_aggregate(&samples::stream("CreditLedger")).await;
        states.push(loaded.expect("the stock store reads it").aggregate().clone());
    }
    assert_eq!(states[0], states[1]);
    assert_ne!(states[0], CreditLedger::default(), "and it is not the empty state");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_the_command_path_folds_old_versions_and_refuses_to_guess_at_newer_ones() {
    let studio = TestStudio::start().await;
    let path = &studio.node.studio.write.path;
    let [old, twin, newer] = [1, 2, 3].map(|n| LedgerId::live(AccountId(Uuid::from_u128(n))).to_string());
    write(&studio.database, &old, 1, (GRANT, "1", without_a_reason())).await;
    write(&studio.database, &twin, 1, (GRANT, "2", with_its_reason_unrecorded())).await;
    studio.drain().await;
    let folded = path.load::<CreditLedger>(&old).await.expect("an old event is known").state;
    assert_eq!(folded, path.load::<CreditLedger>(&twin).await.expect("today's event is known").state);
    let spend = async |ledger: &str| {
        let subject = ledger.parse::<LedgerId>().expect("a ledger's id").account;
        let target = Target { id: ledger.to_owned(), subject };
        let generation_id = GenerationId(studio.node.studio.write.fresh_id());
        let (hold_id, amount) = (HoldId::from(generation_id), Credits::new(500));
        let limits = HoldLimits::default();
        let all =
            |now| CreditLedgerCommand::PlaceHold { hold_id, generation_id, amount, price_version: 1, limits, now };
        path.execute::<CreditLedger>(&target, &studio.operator(), None, all).await
    };
    spend(&old).await.expect("what an old release granted can be spent");

    // A grant of version 3, which looks like one of version 2.
    write(&studio.database, &newer, 1, (GRANT, "3", with_its_reason_unrecorded())).await;
    let head = studio.head().await;
    assert_eq!(head, 4, "two grants, a hold, and what nobody here understands");
    let refused = path.load::<CreditLedger>(&newer).await.map(|loaded| loaded.state);
    let unknown = |error: &str| error.contains("unknown version \"3\" of CreditsGranted");
    assert!(matches!(&refused, Err(CommandError::Internal(error)) if unknown(error)), "{refused:?}");
    let refused = spend(&newer).await.map(|_| "it was decided");
    assert!(matches!(&refused, Err(CommandError::Internal(error)) if unknown(error)), "{refused:?}");
    assert_eq!(studio.names("CreditLedger", &old).await, [GRANT, "HoldPlaced"]);
    let of_newer = sqlx::query_scalar::<_, i64>("select count(*) from events where aggregate_id = $1").bind(&newer);
    assert_eq!(of_newer.fetch_one(&studio.database.pool).await.expect("a count"), 1, "nothing was appended to it");

    // No live node decodes it: every projection leaves its account out, and says so.
    studio.drain().await;
    let pool = &studio.database.pool;
    assert_eq!(followers(pool, head, "partial").await, all().len());
    let errors = "select distinct error from quarantine where position = $1";
    let errors: Vec<String> = sqlx::query_scalar(errors).bind(head).fetch_all(pool).await.expect("the quarantine");
    assert!(errors.len() == 1 && unknown(&errors[0]), "{errors:?}");
    studio.stop().await;
}
