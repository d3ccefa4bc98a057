//! Planted bugs: logs that number their events in the ways that do not work, and the same checker that passes ours, failing.

use atelier_commands::event_store::EventStore;
use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::appends::{append_many, fresh_id, written};
use super::batches::standing_on_a_lost_place;
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
        plant(&log, "append_stamped", &[(stamp, "stamp := clock_timestamp() + (1 - head) * interval '1 hour';")]).await;
    call_sql(&mut owner, "append_stamped", "one").await;
    call_sql(&mut owner, "append_stamped", "two").await;
    let found = Follower::of("events").read_on(&log.database.pool).await;
    assert_eq!(found, Err(Violation::TimeRanBack { position: 2 }));
}

/// What a reader finds who remembers the time of what it saw last, not its position.
async fn recorded_after(log: &TestLog, last: DateTime<Utc>, at_most: i64) -> Vec<(DateTime<Utc>, String)> {
    let read =
        "select recorded_at, aggregate_id from events where recorded_at > $1 order by recorded_at, position limit $2";
    let read = sqlx::query_as(read).bind(last).bind(at_most);
    read.fetch_all(&log.database.pool).await.expect("the log can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_reader_by_time_is_caught() {
    // On our own log: what was committed at once has one time, and the rest of it is passed over.
    let log = TestLog::fresh().await;
    written(log.node().append(append_many("one", 0, 3)).await);
    let first = recorded_after(&log, DateTime::<Utc>::UNIX_EPOCH, 2).await;
    assert_eq!((first.len(), recorded_after(&log, first[1].0, 2).await), (2, Vec::new()), "the third is never seen");
    let mut follower = Follower::of("events");
    follower.read_on(&log.database.pool).await.expect("by position nothing is missing");
    assert_eq!(follower.last(), 3);

    // On a log that stamps without a lock: what began earlier and was committed later is passed over.
    let log = TestLog::fresh().await;
    let mut slow = PgConnection::connect(&log.database.owner_url).await.expect("the owner connects");
    slow.execute("create sequence numbers").await.expect("the owner may");
    let stamp = "stamp := greatest(clock_timestamp(), coalesce(head_at, '-infinity'));";
    let timed = [
        (LOCK, ""),
        (stamp, "stamp := clock_timestamp();"),
        ("head + u.place, u.event_id", "nextval('numbers'), u.event_id"),
    ];
    let mut fast = plant(&log, "append_timed", &timed).await;
    let mut transaction = slow.begin().await.expect("a transaction");
    call_sql(&mut transaction, "append_timed", "slow").await;
    call_sql(&mut fast, "append_timed", "fast").await;
    let seen = recorded_after(&log, DateTime::<Utc>::UNIX_EPOCH, 100).await;
    transaction.commit().await.expect("it commits");
    let later = recorded_after(&log, seen[0].0, 100).await;
    assert_eq!((seen.len(), seen[0].1.as_str(), later), (1, "fast", Vec::new()), "the slow one is never seen");
    assert_eq!(log.rows().await.len(), 2);
}

/// A log that looks for what an append stands on before it has its turn refuses what is good, because it is not there yet.
#[tokio::test(flavor = "multi_thread")]
async fn d3_p2_a_check_before_the_lock_is_caught() {
    let log = TestLog::fresh().await;
    let early = format!(
        "    if cardinality(stand_appends) > 0 and not exists (select from events e where e.event_id = stands_on[1]) then \
         append := 0; verdict := 'conflict'; last_position := null; stored_result := null; return next; return; end if;\n{LOCK}"
    );
    plant(&log, "append_hasty", &[(LOCK, &early)]).await;
    for (function, expected) in [("append_events", "written"), ("append_hasty", "conflict")] {
        let held = log.hold().await;
        let first = fresh_id();
        let call = |sequence: i64, id: Uuid, stands_on: Option<Uuid>| {
            let url = log.database.owner_url.clone();
            let (stand_appends, stands_on): (Vec<i32>, Vec<Uuid>) = stands_on.map(|id| (0, id)).into_iter().unzip();
            tokio::spawn(async move {
                let mut connection = PgConnection::connect(&url).await.expect("the owner connects");
                let sql = format!(
                    "select replace(verdict, 'all_written', 'written') from {function}(array[0], array['Sample'], array['{function}'], array[$1], \
                     array['Happened'], array['1'], array['{{}}'], array['{{}}'], array[$2], array[now()], $3, $4, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')"
                );
                let call = sqlx::query_scalar(&sql).bind(sequence).bind(id).bind(stand_appends).bind(stands_on);
                call.fetch_one(&mut connection).await.expect("the function answers")
            })
        };
        let below: tokio::task::JoinHandle<String> = call(1, first, None);
        log.until_blocked(1).await;
        let on_top: tokio::task::JoinHandle<String> = call(2, fresh_id(), Some(first));
        until("it waits or is answered", async || on_top.is_finished() || log.blocked().await.len() == 2).await;
        held.release().await;
        assert_eq!(below.await.expect("it ends"), "written", "{function}");
        assert_eq!(on_top.await.expect("it ends"), expected, "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_p2_a_log_that_does_not_look_for_what_an_append_stands_on_is_caught() {
    let log = TestLog::fresh().await;
    plant(&log, "append_events", &[("if cardinality(stand_appends) > 0 and exists", "if false and exists")]).await;
    let verdicts = standing_on_a_lost_place(&log).await;
    // The place was free, and it was written behind an event that it was not decided on.
    assert_eq!((verdicts[0].is_ok(), verdicts[1].is_ok()), (false, true), "{verdicts:?}");
}
