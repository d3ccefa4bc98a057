//! Snapshots are a cache of committed state: one that cannot be borne out is dropped, and no answer depends on one (DESIGN 3).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atelier_commands::CommandPath;
use atelier_commands::command_path::CommandPathOptions;
use atelier_commands::event_store::PostgresEventStore;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerEvent};
use atelier_domain::upcast::upcasters;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, EventStore as _};
use futures::future::join_all;
use postgres_es::PostgresEventRepository;
use sqlx::Executor;
use uuid::Uuid;

use super::checks::checked_fold;
use super::stage::{Ask, Ledger, Stage, done, insufficient, refused, spendable, started};
use super::stores::{CountedSnapshots, Gated};
use crate::log::test_log::until;

/// What the command path reads of every stream first: a shorter one needs no snapshot.
const FIRST_PAGE: usize = 256;

/// A snapshot as it stands in its table.
type Row = (i64, Option<Uuid>, String);

fn every(events: usize) -> CommandPathOptions {
    CommandPathOptions { snapshot_every: events, ..CommandPathOptions::default() }
}

/// A node and a count of its snapshots.
fn counted(stage: &Stage, options: &CommandPathOptions) -> (CommandPath, Arc<CountedSnapshots>, Arc<Gated>) {
    let node: Arc<PostgresEventStore> = stage.log.node();
    let (snapshots, store) = (CountedSnapshots::over(node.clone()), Gated::open(node));
    (stage.path_with(store.clone(), Some(snapshots.clone()), options), snapshots, store)
}

/// Gives a ledger 301 events, of which 50 credits are left to spend.
async fn fill(path: &CommandPath, ledger: &Ledger) {
    done(ledger.ask(path, Ask::grant(200)).await);
    let holds: Vec<Ask> = (0..150).map(|_| Ask::hold(1)).collect();
    let asks = holds.iter().map(|hold| ledger.ask(path, *hold));
    join_all(asks).await.into_iter().for_each(|outcome| drop(done(outcome)));
    let ends = holds.iter().map(|hold| ledger.ask(path, hold.captured(1)));
    join_all(ends).await.into_iter().for_each(|outcome| drop(done(outcome)));
}

async fn rows(stage: &Stage, ledger: &Ledger) -> Vec<Row> {
    let rows = "select last_sequence, last_event_id, payload::text from snapshots where aggregate_id = $1";
    sqlx::query_as(rows).bind(&ledger.id).fetch_all(&stage.log.database.pool).await.expect("the snapshots can be read")
}

async fn change(stage: &Stage, sql: &str) {
    stage.log.database.pool.execute(sql).await.expect("the application may");
}

/// A snapshot is the fold of the log up to the event it names.
async fn assert_borne_out(stage: &Stage, ledger: &Ledger) {
    let history = stage.history(ledger).await;
    for (last_sequence, last_event, state) in rows(stage, ledger).await {
        let end = usize::try_from(last_sequence).expect("a sequence");
        let state: CreditLedger = serde_json::from_str(&state).expect("a state");
        assert_eq!(state, checked_fold(history[..end].iter().map(|(_, event)| event)), "the state after {end} events");
        let at = stage.log.rows().await;
        let at = at.iter().find(|row| Some(row.event_id) == last_event).expect("its event is in the log");
        assert_eq!((at.aggregate_id.as_str(), at.sequence), (ledger.id.as_str(), last_sequence));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_snapshots_are_left_behind_and_are_what_the_log_says() {
    let stage = Stage::fresh().await;
    let (path, snapshots, _) = counted(&stage, &every(50));
    let ledger = Ledger::fresh();
    fill(&path, &ledger).await;
    until("a snapshot is kept", async || snapshots.kept.load(Ordering::SeqCst) > 0).await;
    assert_borne_out(&stage, &ledger).await;
    let young = Ledger::fresh();
    done(ledger.ask(&path, Ask::grant(1)).await);
    done(young.ask(&path, Ask::grant(1)).await);
    assert_eq!(rows(&stage, &young).await, [], "not before there is something to keep");
    assert_eq!(snapshots.discarded.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_no_snapshot_holds_what_did_not_come_to_be() {
    let stage = Stage::fresh().await;
    let (here, snapshots, _) = counted(&stage, &every(1));
    let (there, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&here, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let theirs = started(ledger.ask(&there, Ask::hold(100))).await;
    stage.log.until_blocked(1).await;
    let ours = started(ledger.ask(&here, Ask::hold(60))).await;
    stage.log.until_blocked(2).await;
    let on_top = started(ledger.ask(&here, Ask::hold(40))).await;
    held.release().await;
    done(theirs.await.expect("it ends"));
    assert_eq!(refused(ours.await.expect("it ends")), insufficient(60, 0));
    assert_eq!(refused(on_top.await.expect("it ends")), insufficient(40, 0));
    done(ledger.ask(&here, Ask::grant(1)).await);
    // The last event's, or that of the one in front: they are written beside the commands, two at a time.
    until("a snapshot is kept", async || rows(&stage, &ledger).await.iter().any(|row| row.0 >= 2)).await;
    assert_borne_out(&stage, &ledger).await;
    assert_eq!(snapshots.discarded.load(Ordering::SeqCst), 0);
}

/// A ledger of 301 events and a snapshot of them all, with 10 events behind it.
async fn with_snapshot_and_tail() -> (Stage, Ledger) {
    let stage = Stage::fresh().await;
    let (plain, ledger) = (stage.path(), Ledger::fresh());
    fill(&plain, &ledger).await;
    let (path, snapshots, _) = counted(&stage, &every(50));
    ledger.load(&path).await;
    until("a snapshot is kept", async || snapshots.kept.load(Ordering::SeqCst) == 1).await;
    for _ in 0..10 {
        done(ledger.ask(&plain, Ask::hold(1)).await);
    }
    (stage, ledger)
}

/// What a node with a cold cache answers is what the log says; how many events it read, and how many snapshots it dropped.
async fn cold(stage: &Stage, ledger: &Ledger) -> (usize, usize) {
    // It leaves no snapshot of its own.
    let (path, snapshots, store) = counted(stage, &every(1_000_000));
    let (loaded, truth) = (ledger.load(&path).await, stage.truth(ledger).await);
    let read = store.read();
    assert_eq!(loaded.state, truth);
    let last = stage.history(ledger).await.last().map(|(position, _)| *position);
    assert_eq!(Some(loaded.position.number), last);
    let left = spendable(&truth);
    assert_eq!(refused(ledger.ask(&path, Ask::hold(left + 1)).await), insufficient(left + 1, left));
    let hold = Ask::hold(left);
    let (events, _) = done(ledger.ask(&path, hold).await);
    let [CreditLedgerEvent::HoldPlaced { amount, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(amount.get(), left, "decided as without a snapshot");
    done(ledger.ask(&path, hold.voided()).await);
    (read, snapshots.discarded.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_cold_aggregate_is_its_snapshot_and_the_events_behind_it() {
    let (stage, ledger) = with_snapshot_and_tail().await;
    assert_eq!(rows(&stage, &ledger).await[0].0, 301);
    assert_borne_out(&stage, &ledger).await;
    // The first page, in case it is all; then the snapshot's own event and the ten behind it.
    assert_eq!(cold(&stage, &ledger).await, (FIRST_PAGE + 11, 0));
    change(&stage, "delete from snapshots").await;
    assert_eq!(cold(&stage, &ledger).await, (313, 0), "and without one all of them");
}

/// What makes a ledger's snapshot say that it was granted twice as much.
async fn lie(stage: &Stage, ledger: &Ledger) -> String {
    let (_, _, kept) = rows(stage, ledger).await.remove(0);
    let mut rich: CreditLedger = serde_json::from_str(&kept).expect("a state");
    rich.apply(stage.history(ledger).await.remove(0).1);
    format!("update snapshots set payload = '{}'", serde_json::to_string(&rich).expect("a state"))
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_snapshot_that_is_not_borne_out_is_dropped_and_changes_no_answer() {
    let (stage, ledger) = with_snapshot_and_tail().await;
    let lie = lie(&stage, &ledger).await;
    let save = "create table saved as select * from snapshots; \
                create function restore() returns void language sql as 'delete from snapshots; insert into snapshots select * from saved'";
    stage.log.superuser().await.execute(save).await.expect("the superuser may");
    // Each change alone makes it one that may not be used; the state in it is a lie, so that using it would show.
    for (what, changed, dropped) in [
        ("unreadable", "update snapshots set payload = '{\"lots\": 7}'", 1),
        ("no state at all", "update snapshots set payload = '\"nothing\"'", 1),
        ("of an event that the log does not have", "update snapshots set last_event_id = gen_random_uuid()", 1),
        ("of another place", "update snapshots set last_sequence = 280", 1),
        ("ahead of the log", "update snapshots set last_sequence = 100000", 1),
        ("of another form", "update snapshots set form = 'older'", 0),
        ("of the stock crate's making", "update snapshots set last_event_id = null", 0),
    ] {
        change_as_superuser(&stage, "select restore()").await;
        change(&stage, &lie).await;
        change(&stage, changed).await;
        let before = i64::try_from(stage.history(&ledger).await.len()).expect("few");
        let (read, discarded) = cold(&stage, &ledger).await;
        assert_eq!(discarded, dropped, "a snapshot {what}");
        assert!(i64::try_from(read).expect("few") >= before, "a snapshot {what} was used: {read} events read");
        let left = rows(&stage, &ledger).await.len();
        assert_eq!(left, 1 - dropped, "a snapshot {what}");
    }
}

async fn change_as_superuser(stage: &Stage, sql: &str) {
    stage.log.superuser().await.execute(sql).await.expect("the superuser may");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_dropped_snapshot_is_made_anew() {
    let (stage, ledger) = with_snapshot_and_tail().await;
    for change_of_it in ["update snapshots set payload = '{}'", "update snapshots set form = 'older'"] {
        change(&stage, change_of_it).await;
        let (path, snapshots, _) = counted(&stage, &every(50));
        ledger.load(&path).await;
        until("it is made anew", async || snapshots.kept.load(Ordering::SeqCst) == 1).await;
        assert_eq!(rows(&stage, &ledger).await.len(), 1);
        assert_borne_out(&stage, &ledger).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_our_snapshots_are_read_by_the_stock_repository_and_folded_on() {
    let (stage, ledger) = with_snapshot_and_tail().await;
    let repository = PostgresEventRepository::new(stage.log.database.pool.clone());
    let store = PersistedEventStore::<_, CreditLedger>::new_snapshot_store(repository, 50).with_upcasters(upcasters());
    let stock = store.load_aggregate(&ledger.id).await.expect("the stock store loads it");
    assert_eq!((stock.current_snapshot, stock.current_sequence), (Some(1), 311));
    assert_eq!(stock.aggregate, stage.truth(&ledger).await);
    // It did begin with our snapshot: a lie in it shows, because the stock store does not look whether it is borne out.
    change(&stage, &lie(&stage, &ledger).await).await;
    let stock = store.load_aggregate(&ledger.id).await.expect("the stock store loads it");
    assert_ne!(stock.aggregate, stage.truth(&ledger).await);
}
