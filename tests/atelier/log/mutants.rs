//! Planted bugs: logs that number their events in the ways that do not work, and the same checker that passes ours, failing.

use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use super::follower::{Follower, Violation};
use super::order::call_sql;
use super::test_log::{TestLog, until};

/// Creates a variant of `append_events` as the owner: the same text with some of it replaced.
async fn plant(log: &TestLog, name: &str, replacements: &[(&str, &str)]) -> PgConnection {
    let mut owner = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    let text = sqlx::query_scalar("select pg_get_functiondef('append_events'::regproc)");
    let mut text: String = text.fetch_one(&mut owner).await.expect("the function is there");
    for (ours, theirs) in
        [("FUNCTION public.append_events(", format!("FUNCTION public.{name}(").as_str())].iter().chain(replacements)
    {
        assert!(text.contains(ours), "the function has changed; plant the bug anew: {ours}");
        text = text.replace(ours, theirs);
    }
    owner.execute(text.as_str()).await.expect("the variant is created");
    owner
}

const LOCK: &str = "    perform pg_advisory_xact_lock(4713951028541);\n";

/// Two transactions one after the other, the second done before the first has committed: what a reader then sees.
async fn overtaken(log: &TestLog, function: &'static str) -> Result<Vec<i64>, Violation> {
    let mut follower = Follower::of("events");
    let mut slow = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    let mut transaction = slow.begin().await.expect("a transaction");
    call_sql(&mut transaction, function, "slow").await;
    let mut fast = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    let overtaking = tokio::spawn(async move { call_sql(&mut fast, function, "fast").await });
    // It is done, or it waits for the one in front.
    until("the second is done or waits", async || overtaking.is_finished() || log.blocked().await.len() == 1).await;
    follower.read_on(&log.database.pool).await?;
    let seen_before = follower.last();
    transaction.commit().await.expect("it commits");
    overtaking.await.expect("it ends");
    follower.read_on(&log.database.pool).await?;
    Ok(vec![seen_before, follower.last()])
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_positions_from_a_sequence_are_caught() {
    let log = TestLog::fresh().await;
    assert_eq!(overtaken(&log, "append_events").await, Ok(vec![0, 2]), "ours: nothing is seen out of turn");

    let log = TestLog::fresh().await;
    let numbered = [(LOCK, ""), ("head + u.place, u.event_id", "nextval('numbers'), u.event_id")];
    let mut owner = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    owner.execute("create sequence numbers").await.expect("the owner may");
    plant(&log, "append_numbered", &numbered).await;
    assert_eq!(overtaken(&log, "append_numbered").await, Err(Violation::Gap { after: 0, found: 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_reading_the_head_before_the_lock_is_caught() {
    let log = TestLog::fresh().await;
    let after = format!("{LOCK}    head := coalesce(head, 0);");
    plant(&log, "append_early", &[(LOCK, ""), ("    head := coalesce(head, 0);", &after)]).await;
    for (function, expected) in [("append_events", ["written", "written"]), ("append_early", ["conflict", "written"])] {
        let held = log.hold().await;
        let mut calls = JoinSet::new();
        for number in 0..2 {
            let url = log.database.owner_url.clone();
            calls.spawn(async move {
                let mut connection = PgConnection::connect(&url).await.expect("the owner connects");
                call_sql(&mut connection, function, &format!("{function}-{number}")).await.0
            });
        }
        log.until_blocked(2).await;
        held.release().await;
        let mut verdicts = calls.join_all().await;
        verdicts.sort_unstable();
        // Both wanted the same position; without its unique index two events would have it.
        assert_eq!(verdicts, expected, "{function}: streams that nobody else appends to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_a_clock_taken_as_it_is_is_caught() {
    let log = TestLog::fresh().await;
    let stamp = "stamp := greatest(clock_timestamp(), coalesce(head_at, '-infinity'));";
    let mut owner =
        plant(&log, "append_stamped", &[(stamp, "stamp := clock_timestamp() - head * interval '1 hour';")]).await;
    call_sql(&mut owner, "append_stamped", "one").await;
    call_sql(&mut owner, "append_stamped", "two").await;
    let found = Follower::of("events").read_on(&log.database.pool).await;
    assert_eq!(found, Err(Violation::TimeRanBack { position: 2 }));
}
