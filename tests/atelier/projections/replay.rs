//! Reading the log back: everything, once, in global order, in ranges that know when something is missing (G6, DESIGN 3).

use std::collections::BTreeMap;
use std::time::Duration;

use atelier_domain::{LedgerId, LogEvent};
use atelier_projections::{Feed, Replay, ReplayError};
use futures::TryStreamExt;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::rich_log;
use crate::harness::TestDatabase;

async fn as_owner(database: &TestDatabase, sql: &str) {
    let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
    owner.execute(sql).await.expect("the statement runs");
    owner.close().await.expect("the owner leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_an_auditor_folds_the_ledgers_from_what_is_stored_alone() {
    let (database, head) = rich_log::database().await;
    let replay = Replay::new(database.pool.clone());
    assert_eq!(replay.head().await.expect("a head"), head);
    let read = replay.read(1..=head, Some("CreditLedger"), |event| {
        let payload: Value = serde_json::from_str(event.payload).expect("JSON");
        let body = payload.as_object().and_then(|object| object.get(event.event_type)).expect("the event");
        let sum = |of: &str| -> i64 {
            let entries = body["entries"].as_array().expect("entries").iter();
            entries
                .filter(|e| e["account"].as_str().expect("text").starts_with(of))
                .map(|e| e["amount"].as_i64().expect("a number"))
                .sum()
        };
        assert!(["1", "2"].contains(&event.event_version));
        (event.position, event.aggregate_id.parse::<LedgerId>().expect("a ledger"), sum("lot:"), sum("held"))
    });
    let events: Vec<_> = read.try_collect::<Vec<_>>().await.expect("the log is read").concat();
    assert!(events.windows(2).all(|pair| pair[0].0 < pair[1].0), "in global order");
    let mut balances = BTreeMap::new();
    for (_, ledger, available, held) in events {
        let balance: &mut (i64, i64) = balances.entry(ledger).or_default();
        *balance = (balance.0 + available, balance.1 + held);
    }
    // 1,000 granted, 40 expired, three jobs paid with 30 each, one still holds 40; one account was deleted, and has nothing left.
    assert_eq!(balances.len(), 6);
    let (gone, alive): (Vec<(i64, i64)>, Vec<_>) = balances.values().partition(|balance| **balance == (0, 0));
    assert_eq!(gone.len(), 1, "A38: forfeited to exactly zero");
    assert!(alive.iter().all(|balance| *balance == (1_000 - 40 - 90 - 40, 40)), "{balances:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_what_is_replayed_is_what_is_followed() {
    let (database, head) = rich_log::database().await;
    let replay = Replay::new(database.pool.clone());
    let replayed = replay.envelopes(1..=head).try_collect::<Vec<_>>().await.expect("the log is read");
    let replayed: Vec<_> = replayed.into_iter().flat_map(|batch| batch.events).collect();
    let (feed, stop) = (Feed::new(database.pool.clone()), CancellationToken::new());
    let (watching, stopped) = (feed.clone(), stop.clone());
    let watch = tokio::spawn(async move { watching.watch_head(&stopped).await });
    feed.head().wait_for(|at| *at == head).await.expect("the head is seen");
    let followed = feed.after(0, usize::MAX).await.expect("the log is read").events;
    stop.cancel();
    watch.await.expect("joined");
    assert_eq!(replayed, followed, "times, ids and metadata too");
    assert!(replayed.iter().any(|event| matches!(event.event, LogEvent::Generation(..))));
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_ranges_join_without_a_seam_and_a_missing_or_unknown_event_is_not_passed_over() {
    const EVENTS: i64 = 40_000;
    let database = TestDatabase::fresh().await;
    as_owner(
        &database,
        "insert into events select 'Account', '00000000-0000-0000-0000-' || lpad((n / 1000)::text, 12, '0'), n % 1000 + 1, 'EmailVerified', '1', \
         '{\"EmailVerified\":{}}', '{\"actor\":\"operator\",\"correlation_id\":\"00000000-0000-0000-0000-000000000001\",\"causation_id\":\"00000000-0000-0000-0000-000000000001\"}', \
         n, gen_random_uuid(), now(), now() from generate_series(1, 40000) n",
    )
    .await;
    let replay = Replay::new(database.pool.clone());
    let positions = async |from: i64, to: i64| {
        let read = replay.read(from..=to, None, |event| event.position).try_collect::<Vec<_>>().await;
        read.map(|ranges| ranges.concat())
    };
    assert_eq!(positions(1, EVENTS).await.expect("read"), (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(positions(16_384, 32_769).await.expect("read"), (16_384..=32_769).collect::<Vec<_>>());
    assert_eq!(positions(5, 5).await.expect("read"), [5]);
    assert!(positions(6, 5).await.expect("read").is_empty());
    let none = replay.read(1..=EVENTS, Some("Nothing' or 'a' = 'a"), |event| event.position);
    assert!(none.try_collect::<Vec<_>>().await.expect("read").concat().is_empty());

    // Stopped in the middle of a range, a reader leaves no connection behind that answers the next question with the rest.
    for after in 0..60 {
        let stopped = replay.read(1..=EVENTS, None, |event| event.position).try_collect::<Vec<_>>();
        let _ = timeout(Duration::from_micros(after * 200), stopped).await;
        let seven: i64 = sqlx::query_scalar("select 7::bigint").fetch_one(&database.pool).await.expect("an answer");
        assert_eq!(seven, 7);
    }

    as_owner(
        &database,
        "alter table events disable trigger all; update events set payload = '{}' where position = 20000; \
         delete from events where position = 39000; alter table events enable trigger all",
    )
    .await;
    match positions(1, EVENTS).await {
        Err(ReplayError::Missing(from, to)) => assert!((from..=to).contains(&39_000)),
        other => panic!("a gap was passed over: {:?}", other.map(|read| read.len())),
    }
    let decoded = replay.envelopes(32_769..=EVENTS).try_collect::<Vec<_>>().await;
    assert!(matches!(decoded, Err(ReplayError::Missing(32_769, EVENTS))), "nor is it by a rebuild");
    let batches = replay.envelopes(1..=32_768).try_collect::<Vec<_>>().await.expect("read");
    let undecodable = batches[1].undecodable.first().expect("the second range has it");
    assert_eq!((batches[0].events.len(), batches[1].events.len(), undecodable.position), (16_384, 16_383, 20_000));
}
