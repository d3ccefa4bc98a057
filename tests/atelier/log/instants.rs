//! When an append was decided, and what the log takes of that: late as ever, ahead by a second at most.

use atelier_commands::event_store::{AppendError, EventStore};
use atelier_commands::ports::Clock;
use atelier_server::system::SystemClock;
use chrono::TimeDelta;
use sqlx::{Connection, Executor, PgConnection};

use super::appends::{append, ids, written};
use super::test_log::TestLog;

fn decided(stream: &str, by: TimeDelta) -> atelier_commands::event_store::Append {
    let mut append = append(stream, 0);
    for event in &mut append.events {
        event.decided_at = SystemClock.now() + by;
    }
    append
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_an_append_may_be_late_and_not_more_than_a_second_ahead() {
    let log = TestLog::fresh().await;
    let node = log.node();
    for (name, by) in
        [("days", TimeDelta::days(-3)), ("late", TimeDelta::seconds(-5)), ("near", TimeDelta::milliseconds(400))]
    {
        written(node.append(decided(name, by)).await);
    }
    for (name, by) in [("soon", TimeDelta::seconds(30)), ("year", TimeDelta::days(365))] {
        assert_eq!(node.append(decided(name, by)).await, Err(AppendError::ClockAhead), "{name}");
    }
    assert_eq!(log.dense_ids().await.len(), 3, "and nothing of those was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_one_from_the_future_takes_none_of_its_batch_with_it_and_a_late_resend_is_ours() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let batch: Vec<_> = (0..5)
        .map(|number| decided(&format!("s{number}"), if number == 2 { TimeDelta::hours(1) } else { TimeDelta::zero() }))
        .collect();
    let again = batch[0].clone();
    let held = log.hold().await;
    let first = super::test_log::queued(&node, append("first", 0)).await;
    log.until_blocked(1).await;
    let mut waiting = Vec::new();
    for append in batch {
        waiting.push(super::test_log::queued(&node, append).await);
    }
    held.release().await;
    written(first.await);
    let verdicts = futures::future::join_all(waiting).await;
    for (number, verdict) in verdicts.into_iter().enumerate() {
        match number {
            2 => assert_eq!(verdict, Err(AppendError::ClockAhead)),
            _ => assert!(written(verdict).number > 0),
        }
    }
    // Sent again long after: what it was decided at is as it was.
    let before = log.dense_ids().await;
    let position = written(log.node().append(again.clone()).await).number;
    assert!(position > 0 && log.dense_ids().await == before, "{:?}", ids(&again));
}

/// A database whose clock was set back, or a log that was restored on a machine with a wrong clock: its streams are ahead of the clock,
/// and what is decided on them is never before their last event.
#[tokio::test(flavor = "multi_thread")]
async fn c5_a_log_that_is_ahead_of_the_databases_clock_takes_what_is_decided_on_it() {
    let log = TestLog::fresh().await;
    let node = log.node();
    written(node.append(append("first", 0)).await);
    let mut owner = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    let ahead = "insert into events select aggregate_type, 'ahead', 1, event_type, event_version, payload, metadata, position + 1, \
                 gen_random_uuid(), now() + interval '1 day', now() + interval '1 day' from events";
    owner.execute(ahead).await.expect("an event of tomorrow");
    for by in [TimeDelta::hours(-1), TimeDelta::days(1)] {
        written(node.append(decided(&format!("{by}"), by)).await);
    }
    let beyond = node.append(decided("beyond", TimeDelta::days(1) + TimeDelta::seconds(30))).await;
    assert_eq!(beyond, Err(AppendError::ClockAhead));
}
