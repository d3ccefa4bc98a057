//! Rebuild without downtime: built beside, compared, taken over; readers never see less than everything (DESIGN 5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use atelier_projections::RebuildError;
use atelier_vault::transactions::begin_with;
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use tokio::time::timeout;

use super::child::Follower;
use super::counted::{self, Counted, NAME};
use super::{Following, append, at_head};
use crate::harness::process::until;

const BOUND: Duration = Duration::from_secs(5);
const EVENT: &str = r#"{"EmailVerified":{}}"#;

async fn place(pool: &PgPool) -> (String, i64) {
    let place = sqlx::query_as("select place, (select count(*) from rebuilds) from checkpoints where name = $1");
    place.bind(NAME).fetch_one(pool).await.expect("a checkpoint")
}

/// Followed to the head, by a runner that goes on.
async fn followed(pool: &PgPool) -> Following {
    let runner = counted::runner(pool, Counted::plain(), 50, BOUND);
    runner.register().await.expect("a checkpoint");
    let following = Following::start(&runner);
    at_head(pool, &[NAME]).await;
    following
}

/// Reads in snapshots until told to stop: every event up to the snapshot's position, each once, and never an older position.
async fn read(pool: PgPool, reads: Arc<AtomicI64>, stop: Arc<AtomicBool>) {
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut snapshot =
            begin_with(&pool, "begin isolation level repeatable read read only").await.expect("a snapshot");
        let position = sqlx::query_scalar::<_, i64>("select position from checkpoints where name = $1").bind(NAME);
        let position = position.fetch_one(&mut *snapshot).await.expect("a position");
        let seen = "select count(*), count(distinct position), coalesce(max(position), 0) from read_models.counted_v1";
        let seen: (i64, i64, i64) = sqlx::query_as(seen).fetch_one(&mut *snapshot).await.expect("rows");
        assert_eq!(seen, (position, position, position), "a reader sees everything up to its position");
        assert!(position >= last, "L29: {position} after {last}");
        last = position;
        reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_readers_see_everything_at_every_moment_of_rebuilds_under_load() {
    let database = counted::database(400).await;
    let pool = database.pool.clone();
    let following = followed(&pool).await;
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let readers: Vec<_> = (0..2).map(|_| tokio::spawn(read(pool.clone(), reads.clone(), stop.clone()))).collect();
    let (writing, stopped) = (pool.clone(), stop.clone());
    let writer = tokio::spawn(async move {
        let mut next = 401;
        while !stopped.load(Ordering::Relaxed) {
            append(&writing, next, 3, EVENT).await;
            next += 3;
        }
        next - 1
    });
    let mut rebuilds = 0;
    while rebuilds < 6 || reads.load(Ordering::Relaxed) < 20 {
        let rebuilt = counted::runner(&pool, Counted::plain(), 40, BOUND).rebuild(NAME, |_, _| {}).await;
        let rebuilt = rebuilt.expect("a rebuild");
        assert_eq!(rebuilt.tables[0].same(), Some(true), "{rebuilt:?}");
        rebuilds += 1;
        assert_eq!(place(&pool).await, (if rebuilds % 2 == 0 { "a" } else { "b" }.to_owned(), 0));
        assert!(readers.iter().all(|reader| !reader.is_finished()), "a reader has seen something else");
    }
    stop.store(true, Ordering::Relaxed);
    let head = writer.await.expect("joined");
    for reader in readers {
        reader.await.expect("a reader has seen everything");
    }
    at_head(&pool, &[NAME]).await;
    following.stop().await;
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (head, head, head));
    let old = if rebuilds % 2 == 0 { "read_models_b.counted_v1" } else { "read_models_a.counted_v1" };
    assert_eq!(counted::rows(&pool, old).await, (0, 0, 0), "the old place is empty again");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_rebuild_ended_at_any_moment_loses_nothing_and_the_next_one_starts_afresh() {
    let database = counted::database(300).await;
    let pool = database.pool.clone();
    let following = followed(&pool).await;
    let mut ended = 0;
    for after in 0..40 {
        let runner = counted::runner(&pool, Counted::plain(), 20, BOUND);
        let rebuild = runner.rebuild(NAME, |_, _| {});
        ended += u32::from(timeout(Duration::from_micros(700 * after), rebuild).await.is_err());
        assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (300, 300, 300), "ended after {after}");
    }
    assert!(ended > 5, "most were ended: {ended}");
    // The first statement of each one that was ended may still arrive, and then that attempt is the later one: as often once more.
    let again = || async { counted::runner(&pool, Counted::plain(), 20, BOUND).rebuild(NAME, |_, _| {}).await };
    let mut rebuilt = again().await;
    for _ in 0..ended {
        if !matches!(rebuilt, Err(RebuildError::Overtaken)) {
            break;
        }
        rebuilt = again().await;
    }
    assert_eq!(rebuilt.expect("a rebuild").tables[0].same(), Some(true));
    append(&pool, 301, 10, EVENT).await;
    at_head(&pool, &[NAME]).await;
    following.stop().await;
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (310, 310, 310));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_rebuilding_process_killed_or_frozen_in_a_batch_gives_way_to_the_next() {
    let database = counted::database(300).await;
    let pool = database.pool.clone();
    let following = followed(&pool).await;
    let killed = Follower::in_the_middle(&database.url, "rebuild").await;
    killed.signal("KILL");
    drop(killed);
    let mut frozen = Follower::in_the_middle(&database.url, "rebuild").await;
    frozen.signal("STOP");
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (300, 300, 300), "answered meanwhile");
    let rebuilt = counted::runner(&pool, Counted::plain(), 20, BOUND).rebuild(NAME, |_, _| {}).await;
    assert_eq!(rebuilt.expect("a rebuild").tables[0].same(), Some(true));
    frozen.go_on();
    frozen.signal("CONT");
    let frozen = frozen.says("ended").await;
    drop(frozen.says("failed").await);
    assert_eq!(place(&pool).await, ("b".to_owned(), 0));
    following.stop().await;
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (300, 300, 300));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_of_two_rebuilds_at_once_the_later_one_takes_over() {
    let database = counted::database(300).await;
    followed(&database.pool).await.stop().await;
    let pool = database.pool.clone();
    let (mut later, inner) = (None, pool.clone());
    let first = counted::runner(&pool, Counted::plain(), 20, BOUND);
    let first = first.rebuild(NAME, |position, _| {
        if later.is_none() && position >= 100 {
            let second = counted::runner(&inner, Counted::plain(), 20, BOUND);
            later = Some(tokio::spawn(async move { second.rebuild(NAME, |_, _| {}).await }));
            // The fence of the first one's next step comes after the second has begun.
            while tokio::task::block_in_place(|| futures::executor::block_on(attempts(&inner))) < 2 {}
        }
    });
    assert!(matches!(first.await, Err(RebuildError::Overtaken)));
    let later = later.expect("the first one got that far").await.expect("joined");
    assert_eq!(later.expect("a rebuild").tables[0].same(), Some(true));
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (300, 300, 300));
}

async fn attempts(pool: &PgPool) -> i64 {
    let last = sqlx::query_scalar("select coalesce(max(attempt), 0) from rebuilds");
    last.fetch_one(pool).await.expect("the attempts")
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_rebuild_after_a_corrected_fold_says_what_differs_and_ends_a_stop() {
    let database = counted::database(300).await;
    let pool = database.pool.clone();
    let wrong = Arc::new(Counted { version: 1, pause: AtomicI64::new(i64::MAX), skip: 100 });
    let runner = counted::runner(&pool, wrong, 50, BOUND);
    runner.register().await.expect("a checkpoint");
    let following = Following::start(&runner);
    at_head(&pool, &[NAME]).await;
    following.stop().await;
    let corrected = counted::runner(&pool, Counted::plain(), 50, BOUND);
    let rebuilt = corrected.rebuild(NAME, |_, _| {}).await.expect("a rebuild");
    let rows = |side: &Option<(i64, String)>| side.as_ref().map(|(rows, _)| *rows);
    let table = &rebuilt.tables[0];
    assert_eq!((rows(&table.old), rows(&table.new), table.same()), (Some(200), Some(300), Some(false)));
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (300, 300, 300), "the rebuilt one is the truth");

    let stop = "update checkpoints set state = 'stopped', position = 120, failed_position = 121, error = 'SQLSTATE 22003' where name = $1";
    sqlx::query(stop).bind(NAME).execute(&pool).await.expect("a stop");
    let rebuilt = corrected.rebuild(NAME, |_, _| {}).await.expect("a rebuild");
    assert!(rebuilt.tables.is_empty(), "there was nothing to compare with at 300");
    let state = sqlx::query("select state, position, error from checkpoints where name = $1").bind(NAME);
    let state = state.fetch_one(&pool).await.expect("a checkpoint");
    assert_eq!(
        (state.get::<&str, _>(0), state.get::<i64, _>(1), state.get::<Option<&str>, _>(2)),
        ("running", 300, None)
    );

    append(&pool, 301, 1, r#"{"NoSuchEvent":{}}"#).await;
    let stop =
        "update checkpoints set state = 'stopped', failed_position = 301, error = 'SQLSTATE 22003' where name = $1";
    sqlx::query(stop).bind(NAME).execute(&pool).await.expect("a stop");
    let rebuilt = corrected.rebuild(NAME, |_, _| {}).await.expect("a rebuild");
    assert_eq!((rebuilt.position, rebuilt.left_out), (301, 1), "it says whom it did not fold");
    assert_eq!(counted::rows(&pool, "read_models.counted_v1").await, (300, 300, 300));
    assert!(matches!(corrected.rebuild("Nobody", |_, _| {}).await, Err(RebuildError::Unknown(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_new_version_is_built_beside_the_old_one_which_is_dropped_when_no_node_follows_it() {
    let database = counted::database(500).await;
    let pool = database.pool.clone();
    let old = followed(&pool).await;
    let shown = async |version: i32| {
        until("analysts are shown a version", async || {
            let now = "select version from read_model_tables where name = $1 and shown";
            let now: Option<i32> = sqlx::query_scalar(now).bind(NAME).fetch_optional(&pool).await.expect("a table");
            (now == Some(version)).then_some(())
        })
        .await;
        let rows: i64 =
            sqlx::query_scalar("select count(*) from analytics.counted").fetch_one(&pool).await.unwrap_or(-1);
        let owner = PgConnection::connect(&database.owner_url).await;
        let seen = owner.expect("the owner").fetch_one("select count(*) from analytics.counted").await;
        assert_eq!((rows, seen.expect("rows").get::<i64, _>(0)), (-1, 500), "for analysts, not for the application");
    };
    shown(1).await;
    let second = Arc::new(Counted { version: 2, pause: AtomicI64::new(i64::MAX), skip: i64::MAX });
    let second = counted::runner(&pool, second, 50, BOUND);
    second.register().await.expect("a checkpoint");
    let serving = async || {
        let both = sqlx::query_scalar("select array_agg(serving order by version) from checkpoints where name = $1");
        both.bind(NAME).fetch_one(&pool).await.expect("two versions")
    };
    let both: Vec<bool> = serving().await;
    assert_eq!(both, [true, false], "not before it was at the head");
    let new = Following::start(&second);
    shown(2).await;
    let both: Vec<bool> = serving().await;
    assert_eq!(both, [true, true]);
    append(&pool, 501, 7, EVENT).await;
    at_head(&pool, &[NAME]).await;
    for version in [1, 2] {
        let table = format!("read_models.counted_v{version}");
        assert_eq!(counted::rows(&pool, &table).await, (507, 507, 507), "both are followed");
    }
    let prune = async || -> Vec<String> {
        sqlx::query_scalar("select prune_followers()").fetch_all(&pool).await.expect("pruned")
    };
    assert!(prune().await.is_empty(), "a node of the old release lives");
    old.stop().await;
    assert_eq!(prune().await, ["counted_v1", "Counted version 1"]);
    assert!(prune().await.is_empty());
    assert!(sqlx::query("select from read_models.counted_v1").execute(&pool).await.is_err(), "its tables are gone");
    append(&pool, 508, 1, EVENT).await;
    at_head(&pool, &[NAME]).await;
    new.stop().await;
    assert_eq!(counted::rows(&pool, "read_models.counted_v2").await, (508, 508, 508));
}
