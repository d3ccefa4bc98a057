//! Several processes: when a holder dies or freezes another goes on, within 15 s, and what the old one still does comes too late.

use std::time::Duration;

use atelier_projections::RunnerOptions;
use sqlx::PgPool;
use tokio::time::timeout;

use super::child::Follower;
use super::counted::{self, Counted, NAME};
use super::{Following, append, at_head};

/// Within which another goes on.
const TAKEOVER: Duration = Duration::from_secs(15);
/// So long that nothing is ended for it.
const NEVER: Duration = Duration::from_secs(3_600);

async fn holder(pool: &PgPool) -> Option<uuid::Uuid> {
    let holder = sqlx::query_scalar("select holder from checkpoints where name = $1");
    holder.bind(NAME).fetch_one(pool).await.expect("a checkpoint")
}

/// Follows in this process until the head, which must not take longer than a takeover may.
async fn goes_on(pool: &PgPool, bound: Duration) -> Following {
    let following = Following::start(&counted::runner(pool, Counted::plain(), 7, bound));
    timeout(TAKEOVER, at_head(pool, &[NAME])).await.expect("another goes on in time");
    following
}

#[test]
fn d5_with_the_usual_bounds_a_frozen_holder_is_ended_in_time() {
    let RunnerOptions { rest, bound, .. } = RunnerOptions::default();
    // Seen once, seen again after the bound and a second of grace, then taken over at the next look.
    assert!(bound + Duration::from_secs(1) + 4 * rest < TAKEOVER / 2 + Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_when_the_holder_is_killed_in_a_batch_another_process_goes_on() {
    let database = counted::database(300).await;
    counted::runner(&database.pool, Counted::plain(), 7, NEVER).register().await.expect("a checkpoint");
    let child = Follower::in_the_middle(&database.url, "follow").await;
    let theirs = holder(&database.pool).await;
    child.signal("KILL");
    let following = goes_on(&database.pool, NEVER).await;
    assert_eq!(counted::rows(&database.pool, "read_models.counted_v1").await, (300, 300, 300));
    assert_ne!(holder(&database.pool).await, theirs, "another node");
    following.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_holder_frozen_in_a_batch_is_ended_by_the_database_and_its_late_commit_is_refused() {
    let database = counted::database(300).await;
    counted::runner(&database.pool, Counted::plain(), 7, NEVER).register().await.expect("a checkpoint");
    let mut child = Follower::in_the_middle(&database.url, "follow").await;
    child.signal("STOP");
    // Ours would never end another: it is the bound of the child's own transaction.
    let following = goes_on(&database.pool, NEVER).await;
    assert_eq!(counted::rows(&database.pool, "read_models.counted_v1").await, (300, 300, 300));
    child.go_on();
    child.signal("CONT");
    let _awake = child.says("ended").await;
    // Both follow now.
    append(&database.pool, 301, 200, r#"{"EmailVerified":{}}"#).await;
    at_head(&database.pool, &[NAME]).await;
    following.stop().await;
    assert_eq!(counted::rows(&database.pool, "read_models.counted_v1").await, (500, 500, 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_holder_frozen_while_it_is_sent_something_is_ended_by_the_next_node() {
    let database = counted::database(300).await;
    counted::runner(&database.pool, Counted::plain(), 7, NEVER).register().await.expect("a checkpoint");
    let child = Follower::in_the_middle(&database.url, "follow sent").await;
    // No bound of the database ends a server process that waits for its client to read on.
    child.signal("STOP");
    let following = goes_on(&database.pool, Duration::from_secs(1)).await;
    assert_eq!(counted::rows(&database.pool, "read_models.counted_v1").await, (300, 300, 300));
    child.signal("CONT");
    let _awake = child.says("ended").await;
    following.stop().await;
    assert_eq!(counted::rows(&database.pool, "read_models.counted_v1").await, (300, 300, 300));
}
