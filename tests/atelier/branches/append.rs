//! Appends on a live connection beneath which the log is replaced.

use atelier_commands::event_store::{AppendError, Appended, EventStore};
use sqlx::{Connection, Executor, PgConnection};

use crate::log::appends::{append, fresh_id};
use crate::log::test_log::TestLog;

/// What an append was decided on was durable on this very connection, and another event has its place since: a restore that gave back
/// less, on which another node went on. Nothing but the log itself can say so, in the append's own call.
#[tokio::test(flavor = "multi_thread")]
async fn i12_an_append_that_was_decided_on_what_is_lost_is_a_conflict_on_the_same_connection() {
    let log = TestLog::fresh().await;
    let node = log.node();
    let first = append("stream", 0);
    let decided_on = first.events[0].event_id;
    let written = node.append(first).await;
    assert!(matches!(written, Ok(Appended::Written { .. })), "{written:?}");
    let era = node.era();

    let mut owner = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    for statement in [
        "alter table events disable trigger events_append_only".to_owned(),
        format!("update events set event_id = '{}'", fresh_id()),
        "alter table events enable trigger events_append_only".to_owned(),
    ] {
        owner.execute(statement.as_str()).await.expect("the owner may");
    }
    let mut second = append("stream", 1);
    (second.stands_on, second.durable_in) = (Some(decided_on), Some(era));
    assert_eq!(node.append(second).await, Err(AppendError::Conflict));
    assert!(node.era() > era, "what was known before is read again");
    let branches: i64 =
        sqlx::query_scalar("select count(*) from log_branches").fetch_one(&mut owner).await.expect("they are listed");
    assert_eq!(branches, 2);
    let there = append("stream", 1);
    assert!(matches!(node.append(there).await, Ok(Appended::Written { .. })), "and what is decided on the log goes on");
}
