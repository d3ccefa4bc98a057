//! A rebuild leaves out what it cannot fold, says how many, and refuses to take accounts away that are served.

use atelier_projections::RebuildError;

use super::*;
use crate::projections::rich_log;

const POISONED: u32 = 2;

async fn place_of(pool: &PgPool, account: u32) -> i64 {
    let place = "select position from events where event_type = 'SessionStarted' and aggregate_id = $1 order by position limit 1";
    let account = rich_log::account(account).to_string();
    sqlx::query_scalar(place).bind(account).fetch_one(pool).await.expect("the rich log has every event")
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_rebuild_says_whom_it_left_out_and_serves_everybody_else() {
    let (database, head) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(POISONED));
    let following = two_nodes(pool).await;
    let clean = (dump_all(pool).await, of_others(pool, account).await);
    let place = place_of(pool, POISONED).await;
    let was = replace(&database, place, POISON).await;
    for (round, batch) in [3, 1_000].into_iter().enumerate() {
        for name in names() {
            let rebuilt = runner(pool, batch).rebuild(name, |_, _| {}).await.expect("a rebuild");
            assert_eq!((rebuilt.left_out, rebuilt.position), (1, head), "{name}");
            assert!(round == 1 || rebuilt.tables.iter().any(|table| table.same() == Some(false)) || name == "Rank");
        }
        assert_eq!((parked(pool).await.len(), states(pool).await), (names().len(), vec!["partial".to_owned()]));
        assert_eq!(of_others(pool, account).await, clean.1);
    }
    stopped(following).await;
    replace(&database, place, &was).await;
    let following = two_nodes(pool).await;
    // A rebuild by a release that decodes it makes the account whole as well.
    let rebuilt = runner(pool, 7).rebuild("Profile", |_, _| {}).await.expect("a rebuild");
    assert_eq!(rebuilt.left_out, 0);
    for name in names() {
        assert_eq!(runner(pool, 7).retry(name).await.expect("a retry").failed, [], "{name}");
    }
    assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]));
    assert_eq!(dump_all(pool).await, clean.0);
    stopped(following).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_rebuild_that_would_leave_out_many_who_are_served_does_not_take_over() {
    let (database, _) = rich_log::database().await;
    let pool = &database.pool;
    let following = two_nodes(pool).await;
    let clean = dump_all(pool).await;
    for account in 0..4 {
        let place = place_of(pool, account).await;
        replace(&database, place, POISON).await;
    }
    match runner(pool, 7).rebuild("Sessions", |_, _| {}).await {
        Err(RebuildError::LeavesOut(4)) => {}
        other => panic!("it took them away: {other:?}"),
    }
    assert_eq!((dump_all(pool).await, states(pool).await), (clean, vec!["running".to_owned()]), "what served serves");
    stopped(following).await;
}
