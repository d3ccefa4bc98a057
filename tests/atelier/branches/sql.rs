//! `open_log_branch` as a table: what a node knows, what the log has, and where the branch begins.

use sqlx::PgPool;
use uuid::Uuid;

use crate::harness::TestDatabase;

const EVENTS: i64 = 100;

fn id(position: i64) -> Uuid {
    Uuid::from_u128(position.unsigned_abs().into())
}

fn lost(position: i64) -> Uuid {
    Uuid::from_u128(1_000_000 + u128::from(position.unsigned_abs()))
}

/// A log of a hundred events whose ids are their positions.
async fn log() -> TestDatabase {
    let database = TestDatabase::fresh().await;
    let append = "select append_events(array_agg(n::int), array_agg('Sample'::text), array_agg(n::text), array_agg(1::bigint), \
                  array_agg('Happened'::text), array_agg('1'::text), array_agg('{}'::text), array_agg('{}'::text), \
                  array_agg(('00000000-0000-0000-0000-' || lpad(to_hex(n), 12, '0'))::uuid order by n), array_agg(now()), \
                  '{}', '{}', '{}', '{}', '{}', '{}', '{}') from generate_series(1, $1) n";
    sqlx::query(append).bind(EVENTS).execute(&database.pool).await.expect("they are appended");
    database
}

async fn open(pool: &PgPool, known: &[Uuid], pairs: &[(i64, Uuid)]) -> (Uuid, Option<i64>) {
    let (positions, events): (Vec<i64>, Vec<Uuid>) = pairs.iter().copied().unzip();
    let opened = sqlx::query_as("select branch, kept from open_log_branch($1, $2, $3)");
    opened.bind(known).bind(positions).bind(events).fetch_one(pool).await.expect("it answers")
}

async fn branches(pool: &PgPool) -> Vec<(Uuid, i64, Option<i64>)> {
    let branches = "select branch, first_position, lost_through from log_branches order by ordinal";
    sqlx::query_as(branches).fetch_all(pool).await.expect("the branches can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_branch_begins_behind_the_last_event_that_is_known_and_there() {
    let database = log().await;
    let pool = &database.pool;
    let [(first, 1, None)] = branches(pool).await[..] else { panic!("one branch to begin with") };
    for (known, kept) in [(&[][..], None), (&[(1, id(1)), (90, id(90)), (100, id(100))][..], None)] {
        assert_eq!(open(pool, &[first], known).await, (first, kept), "nothing known is missing");
    }
    assert_eq!(branches(pool).await.len(), 1);
    // Two nodes that know different amounts, at once, and each of them again.
    let (less, more) = ([(80, id(80)), (96, id(96)), (104, lost(104))], [(88, id(88)), (99, id(99)), (120, lost(120))]);
    let shared = [first];
    let opened = tokio::join!(open(pool, &shared, &less), open(pool, &shared, &more));
    assert_eq!((opened.0.1, opened.1.1), (Some(96), Some(99)));
    let second = opened.0.0;
    assert!(second != first && opened.1.0 == second, "one branch for both");
    for known in [&less, &more] {
        open(pool, &shared, known).await;
    }
    assert_eq!(branches(pool).await, [(first, 1, None), (second, 97, Some(120))]);
    // What is known on the new branch is its own affair, and the operator's word holds until more is known to be lost.
    let seen: bool = sqlx::query_scalar("select acknowledge_log_branch($1, 'ada')")
        .bind(second)
        .fetch_one(pool)
        .await
        .expect("it answers");
    assert!(seen);
    open(pool, &[first, second], &[(100, id(100))]).await;
    let by = "select acknowledged_by from log_branches where branch = $1";
    let by = async || -> Option<String> { sqlx::query_scalar(by).bind(second).fetch_one(pool).await.expect("a row") };
    assert_eq!(by().await.as_deref(), Some("ada"));
    open(pool, &shared, &[(100, id(100)), (130, lost(130))]).await;
    assert_eq!((by().await, branches(pool).await[1].2), (None, Some(130)), "that much was not acknowledged");
    // A loss of the second branch is a third one.
    let (third, _) = open(pool, &[first, second], &[(98, id(98)), (99, lost(99)), (100, id(100))]).await;
    assert_eq!(branches(pool).await[2], (third, 99, Some(99)));
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_log_branch_says_null_for_another_place_and_for_what_it_does_not_have() {
    let database = log().await;
    let pool = &database.pool;
    let asked = async |position: Option<i64>, event: Option<Uuid>| -> Option<Uuid> {
        let asked = sqlx::query_scalar("select log_branch($1, $2)").bind(position).bind(event);
        asked.fetch_one(pool).await.expect("it answers")
    };
    let first = branches(pool).await[0].0;
    assert_eq!(asked(None, None).await, Some(first));
    assert_eq!(asked(Some(100), Some(id(100))).await, Some(first));
    for (position, event) in [(100, lost(100)), (101, id(101)), (99, id(100))] {
        assert_eq!(asked(Some(position), Some(event)).await, None);
    }
    let mut owner = sqlx::Connection::connect(&database.owner_url).await.expect("the owner connects");
    for (column, other) in [("system_identifier", "'1'"), ("timeline", "'0000000A'"), ("events_oid", "1")] {
        let elsewhere = format!(
            "update log_branches set {column} = {other} where ordinal = (select max(ordinal) from log_branches)"
        );
        let elsewhere: Result<_, sqlx::Error> =
            sqlx::raw_sql(&elsewhere).execute::<&mut sqlx::PgConnection>(&mut owner).await;
        elsewhere.expect("the owner may");
        assert_eq!(asked(None, None).await, None, "{column}");
        let (opened, kept) = open(pool, &[first], &[(100, id(100))]).await;
        assert_eq!((asked(Some(100), Some(id(100))).await, kept), (Some(opened), None));
        assert_eq!(branches(pool).await.last(), Some(&(opened, 101, None)), "nothing is lost: {column}");
    }
}
