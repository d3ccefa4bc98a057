//! Folds survive what an older log may hold: every instant, number and text of every event at the ends of what its type takes. None of it
//! stops a follower, and none of it costs an account anything (issue 10, A1).

use atelier_domain::LogEvent;
use atelier_server::studio::followers;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::projections::rich_log;

/// How many accounts there are, each with another extreme in all of its events.
const EXTREMES: usize = 6;

fn instant(k: usize) -> Value {
    json!(
        [
            "+10000-01-01T00:00:00Z",
            "+262142-12-31T23:59:59.999999999Z",
            "-262143-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "1969-12-31T23:59:60Z",
        ][k]
    )
}

fn number(k: usize) -> Value {
    [json!(u64::MAX), json!(i64::MAX), json!(i64::MIN), json!(u32::MAX), json!(i64::from(i32::MAX) + 1), json!(-1)][k]
        .clone()
}

fn text(k: usize) -> Value {
    let texts = ["\0", "a\0b", "\\u0000", "\u{10ffff}", "\u{1}\u{7f}", ""];
    json!(texts[k])
}

/// What may stand in the place of a value, to be tried in order.
fn instead(value: &Value, k: usize) -> Vec<Value> {
    match value {
        Value::Null => vec![instant(k), number(k), text(k)],
        Value::Number(_) => vec![number(k)],
        Value::String(said) if said.parse::<DateTime<Utc>>().is_ok() => vec![instant(k)],
        Value::String(_) => vec![text(k)],
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}

/// The paths of a payload's values.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| paths(field, &format!("{at}/{name}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| paths(item, &format!("{at}/{n}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at.to_owned()),
    }
}

/// An event with the extreme in each value whose type takes it. Sums of credits are the ledger's own rule: a balance that overflows is
/// no balance.
fn extreme(event: &LogEvent, k: usize, changed: &mut usize) -> LogEvent {
    let (aggregate, name, stream, version) = rich_log::address(event);
    let mut payload = event.payload().expect("sealed");
    let mut found = Vec::new();
    paths(&payload, "", &mut found);
    let decoded = |payload: &Value| LogEvent::decode(aggregate, &stream, name, &version, &payload.to_string()).ok();
    for path in found.iter().filter(|path| !path.ends_with("/amount") && !path.ends_with("/captured")) {
        let was = payload.pointer(path).expect("its own path").clone();
        for value in instead(&was, k) {
            *payload.pointer_mut(path).expect("its own path") = value;
            if decoded(&payload).is_some() {
                *changed += 1;
                break;
            }
            *payload.pointer_mut(path).expect("its own path") = was.clone();
        }
    }
    decoded(&payload).expect("each change was one that decodes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_no_value_that_an_event_can_hold_costs_anybody_a_read_model_or_a_process_manager() {
    let database = TestDatabase::fresh().await;
    let pool = &database.pool;
    let (mut events, mut changed) = (Vec::new(), 0);
    for k in 0..EXTREMES {
        let n = 10 + u32::try_from(k).expect("few");
        events.extend(rich_log::life(n).iter().map(|event| extreme(event, k, &mut changed)));
    }
    assert!(changed > 300, "most values are at an end: {changed}");
    rich_log::write(&database, &events).await;
    let mut first = None;
    for batch in [1_000, 1] {
        forget(&database).await;
        let followers = followers(&Arc::new(Notify::new()));
        let names: Vec<&str> = followers.iter().map(|follower| follower.name()).collect();
        let options = RunnerOptions { batch, rest: Duration::from_millis(1), ..RunnerOptions::default() };
        let runner = Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), followers, options));
        runner.register().await.expect("checkpoints");
        // A process manager begins at the head; here it is to react to everything.
        sqlx::query("update checkpoints set position = 0").execute(pool).await.expect("set");
        let following = Following::start(&runner);
        at_head(pool, &names).await;
        following.stop().await;
        assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]));
        let dumps = dump_all(pool).await;
        assert_eq!(&dumps, first.get_or_insert_with(|| dumps.clone()), "batches of {batch}");
    }
}
