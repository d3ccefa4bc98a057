//! Property 5: append-only, enforced by the database, for the application's role, the owner and the superuser.

use atelier_commands::event_store::EventStore;
use sqlx::{Connection, PgConnection};

use super::appends::{append_many, written};
use super::order::call_sql;
use super::test_log::TestLog;

const CHANGES: [&str; 6] = [
    "update events set payload = '{}'",
    "update events set position = position + 1 where false",
    "delete from events",
    "delete from events where false",
    "truncate events",
    "truncate events cascade",
];

/// What the application may not do either.
const BEYOND_THE_APPLICATION: [&str; 16] = [
    "insert into events select aggregate_type, aggregate_id, sequence + 9, event_type, event_version, payload, metadata, \
     position + 9, event_id, decided_at, recorded_at from events",
    "insert into idempotency_keys values (gen_random_uuid(), 'k', '', '', 1, now())",
    "update idempotency_keys set result = ''",
    "delete from idempotency_keys",
    "truncate idempotency_keys",
    "update log_identity set log_id = gen_random_uuid()",
    "insert into log_branches select gen_random_uuid(), 2, system_identifier, timeline, events_oid, 1, now() from log_branches",
    "update log_branches set first_position = 2",
    "delete from log_branches",
    "alter table events disable trigger all",
    "drop trigger events_append_only on events",
    "drop table events",
    "create or replace function refuse_change() returns trigger language plpgsql as 'begin return null; end'",
    "drop function append_events",
    "set session_replication_role = replica",
    "create table public.events_too (position bigint)",
];

/// The error of a statement that must fail: its SQLSTATE and message.
async fn refused(connection: &mut PgConnection, sql: &str) -> (String, String) {
    let error = sqlx::raw_sql(sql).execute(connection).await.expect_err(sql);
    let error = error.into_database_error().expect("the database refuses");
    (error.code().expect("an SQLSTATE").into_owned(), error.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_l02_nobody_changes_what_the_log_holds() {
    let log = TestLog::fresh().await;
    written(log.node().append(append_many("one", 0, 3)).await);
    let before = log.rows().await;
    let database = &log.database;
    let mut application = PgConnection::connect(&database.url).await.expect("the application connects");
    for sql in CHANGES.iter().chain(&BEYOND_THE_APPLICATION) {
        let (code, message) = refused(&mut application, sql).await;
        assert_eq!(code, "42501", "by privilege: {sql}: {message}");
        assert!(!message.contains("append-only"), "before any trigger: {sql}: {message}");
    }
    // The owner and the superuser have the privileges: there the triggers refuse.
    for url in [&database.owner_url, &database.superuser_url] {
        let mut owner = PgConnection::connect(url).await.expect("the owner connects");
        for sql in CHANGES {
            let (code, message) = refused(&mut owner, sql).await;
            assert!(code == "42501" && message.contains("append-only"), "{sql}: {code} {message}");
        }
    }
    assert_eq!(log.rows().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_the_application_appends_by_the_function_and_others_do_not() {
    let log = TestLog::fresh().await;
    let mut application = PgConnection::connect(&log.database.url).await.expect("the application connects");
    assert_eq!(call_sql(&mut application, "append_events", "one").await, ("written".to_owned(), Some(1)));
    // It runs as its owner, so nothing of the caller's may stand in front of the names it uses.
    let shadow =
        "create temporary table events (like public.events); create temporary table idempotency_keys (key text)";
    sqlx::raw_sql(shadow).execute(&mut application).await.expect("temporary tables are everybody's");
    sqlx::raw_sql("set search_path = pg_temp, public").execute(&mut application).await.expect("a setting");
    assert_eq!(call_sql(&mut application, "append_events", "two").await, ("written".to_owned(), Some(2)));
    assert_eq!(log.rows().await.len(), 2, "both are in the log");
    let anybody = "select bool_or(has_function_privilege('public', oid, 'execute')), count(*) from pg_proc \
                   where proname = 'append_events'";
    let (anybody, functions): (bool, i64) =
        sqlx::query_as(anybody).fetch_one(&log.database.pool).await.expect("the catalogue answers");
    assert_eq!((anybody, functions), (false, 1));
}
