//! The list of work: what is early, what fails, what can never be done, and how an operator sees it.

use std::time::Duration;

use atelier_commands::process::{Backlog, DispatcherOptions, Lane, Work, enqueue};
use atelier_commands::use_cases::GrantCredits;
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{Actor, Credits, GenerationId, LedgerId, LotId};
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Scene;
use super::crash::life::Life;
use super::crash::world::{Carrier, World};
use super::crash::{ask_for_one, newcomers};
use crate::as_atelier;
use crate::harness::{TestDatabase, TestStudio};

/// Looks until it is so.
async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !look().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// One value about one row of the list.
async fn of_row<T>(database: &TestDatabase, what: &str, id: &str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let query = format!("select {what} from process_work where id = $1");
    sqlx::query_scalar(&query).bind(id).fetch_one(&database.pool).await.expect("the row is there")
}

async fn gone(database: &TestDatabase, id: &str) -> bool {
    let there: bool = sqlx::query_scalar("select exists (select from process_work where id = $1)")
        .bind(id)
        .fetch_one(&database.pool)
        .await
        .expect("the work list answers");
    !there
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a_timer_that_this_nodes_clock_finds_too_early_comes_back_at_its_instant() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    let ledger = LedgerId::live(accounts[0]);
    let granted = life.ask(move |studio| async move {
        let write = &studio.write;
        let at = write.now() + TimeDelta::milliseconds(1_500);
        let (lot, amount) = (LotId(write.fresh_id()), Credits::new(70));
        let grant = GrantCredits { ledger, lot, reason: GrantReason::Gift, amount, expires_at: Some(at) };
        grant.run(write, &write.request_context(Actor::Operator)).await.expect("a lot is opened");
        lot
    });
    let lot = granted.await.expect("alive");
    assert!(life.rests().await);
    // The database's clock is ahead of the node's: it is due there at once.
    let fire = "update process_work set due_at = now() where payload->>'lot' = $1 returning id";
    let id: String =
        sqlx::query_scalar(fire).bind(lot.to_string()).fetch_one(&world.database.pool).await.expect("its timer");
    until("it was put back", async || {
        gone(&world.database, &id).await || of_row::<bool>(&world.database, "due_at > now()", &id).await
    })
    .await;
    if !gone(&world.database, &id).await {
        let (soon, attempts, failed): (bool, i32, bool) = sqlx::query_as(
            "select due_at <= now() + interval '1.6 seconds', attempts, last_error is not null from process_work where id = $1",
        )
        .bind(&id)
        .fetch_one(&world.database.pool)
        .await
        .unwrap_or((true, 0, false));
        assert_eq!((soon, attempts, failed), (true, 0, false), "early is no failure");
    }
    until("the lot expires", async || gone(&world.database, &id).await).await;
    let expired: i64 = sqlx::query_scalar(
        "select (payload->'LotExpired'->>'amount')::bigint from events where event_type = 'LotExpired'",
    )
    .fetch_one(&world.database.pool)
    .await
    .expect("one lot");
    assert_eq!(expired, 70);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_can_never_be_delivered_ends_as_a_record_that_everybody_sees() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    let id = "signUp:test:0";
    world.post.send_replace(Carrier::Refuses);
    let work = Work::SendAlreadyRegisteredMail { account: accounts[0] };
    enqueue(&world.database.pool, id, &work).await.expect("work is enqueued");
    assert!(life.rests().await, "it is not tried for ever");
    let database = &world.database;
    assert_eq!(of_row::<String>(database, "state", id).await, "dead");
    assert_eq!(of_row::<i32>(database, "attempts", id).await, 1);
    assert!(of_row::<String>(database, "last_error", id).await.contains("no such place"));
    let backlog = Backlog::count(&database.pool).await.expect("the list can be counted");
    assert_eq!((backlog.stuck, backlog.dead), (0, 1));
    // Nobody takes it again, not even when all that waits is due, and the node stays at rest.
    world.post.send_replace(Carrier::Delivers);
    world.time_passes().await;
    assert!(life.rests().await);
    assert_eq!(of_row::<i32>(database, "attempts", id).await, 1);
    let doctor = as_atelier::command(&["doctor"])
        .env("DATABASE_URL", &database.url)
        .env("ATELIER_DATA", world.data.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let line = said.lines().find(|line| line.contains("work: ")).expect("a finding");
    assert!(line.starts_with("WRONG") && line.contains("1 dead") && line.contains(id), "{line}");
    assert!(!said.contains("person0@"), "no address is shown");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_and_again_is_stuck_and_shown_and_still_tried() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    let (database, id) = (&world.database, "signUp:test:0");
    world.post.send_replace(Carrier::Fails);
    let work = Work::SendAlreadyRegisteredMail { account: accounts[0] };
    enqueue(&database.pool, id, &work).await.expect("work is enqueued");
    let mut pauses = Vec::new();
    for attempt in 1..=13 {
        until("it was tried", async || {
            of_row::<i32>(database, "attempts", id).await == attempt
                && of_row::<bool>(database, "leased_until is null", id).await
        })
        .await;
        let pause: f64 = of_row(database, "extract(epoch from due_at - now())::float8", id).await;
        pauses.push(pause.ceil());
        assert_eq!(of_row::<String>(database, "state", id).await == "stuck", attempt >= 12, "attempt {attempt}");
        world.time_passes().await;
    }
    let around = |expected: f64, pause: f64| pause <= expected && pause > expected - 2.0;
    let expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0, 900.0, 900.0];
    assert!(expected.iter().zip(&pauses).all(|(expected, pause)| around(*expected, *pause)), "{pauses:?}");
    let backlog = Backlog::count(&database.pool).await.expect("the list can be counted");
    assert_eq!((backlog.stuck, backlog.dead), (1, 0));
    world.post.send_replace(Carrier::Delivers);
    world.time_passes().await;
    until("it is done", async || gone(database, id).await).await;
    assert!(world.sent().contains(&id.to_owned()));
    assert_eq!(Backlog::count(&database.pool).await.expect("it can be counted").stuck, 0);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_a_bonus_that_does_not_fit_waits_for_room_and_is_granted_once() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    let (database, account, ledger) = (&world.database, accounts[0], LedgerId::live(accounts[0]));
    let events = async |of: &str| {
        let count = sqlx::query_scalar::<_, i64>("select count(*) from events where event_type = $1").bind(of);
        count.fetch_one(&database.pool).await.expect("the log answers")
    };
    // All but one credit of the room that the bonus needs is taken.
    let most = 2_000_000_000;
    let taken = life.ask(async move |studio| {
        let write = &studio.write;
        let amount = Credits::new(most - 500 - 499);
        let (lot, reason) = (LotId(write.fresh_id()), GrantReason::Gift);
        let grant = GrantCredits { ledger, lot, reason, amount, expires_at: None };
        grant.run(write, &write.request_context(Actor::Operator)).await.expect("it fits");
        LotId(write.fresh_id())
    });
    let lot = taken.await.expect("alive");
    // As if it had had none: a mailbox has one.
    world.sql("delete from credentials.bonus_marks").await;
    let id = "bonus:test:0";
    enqueue(&database.pool, id, &Work::GrantSignUpBonus { account, lot }).await.expect("work is enqueued");
    for attempt in 1..=13 {
        until("it was tried", async || {
            of_row::<i32>(database, "attempts", id).await == attempt
                && of_row::<bool>(database, "leased_until is null", id).await
        })
        .await;
        assert!(of_row::<bool>(database, "last_error like '%499%'", id).await, "it says the room there is");
        if attempt < 13 {
            world.time_passes().await;
        }
    }
    assert_eq!(of_row::<String>(database, "state", id).await, "stuck", "an operator sees it");
    ask_for_one(&life, account, None).await.expect("alive").expect("a picture is asked for");
    until("it is paid for", async || events("HoldCaptured").await == 1).await;
    world.time_passes().await;
    until("it is granted", async || gone(database, id).await).await;
    assert!(life.rests().await);
    let granted = "select count(*), sum((payload->'CreditsGranted'->>'amount')::bigint)::bigint from events \
        where event_type = 'CreditsGranted' and payload->'CreditsGranted'->>'lot_id' = $1";
    let granted = sqlx::query_as::<_, (i64, i64)>(granted).bind(lot.to_string()).fetch_one(&database.pool).await;
    assert_eq!(granted.expect("the log answers"), (1, 500));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_takes_longer_than_a_lease_is_one_attempt_and_the_node_is_not_at_rest_before_it_is_done() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    life.end().await;
    let lease = Duration::from_millis(300);
    let life = Life::with(&world, DispatcherOptions { lease, ..DispatcherOptions::default() }).await;
    let (database, id) = (&world.database, "signUp:test:0");
    world.post.send_replace(Carrier::Waits);
    enqueue(&database.pool, id, &Work::SendAlreadyRegisteredMail { account: accounts[0] }).await.expect("enqueued");
    until("the first lease is over by the database's clock", async || {
        of_row::<bool>(database, "attempts = 1 and leased_until > due_at + interval '0.9 seconds'", id).await
    })
    .await;
    assert!(!life.is_at_rest().await, "it is at work");
    // The next attempt fails, and the one after it is a second away: that is no rest either.
    world.post.send_replace(Carrier::Fails);
    until("it has failed", async || of_row::<bool>(database, "last_error is not null", id).await).await;
    assert_eq!(of_row::<i32>(database, "attempts", id).await, 1);
    assert!(!life.is_at_rest().await, "it waits for its second attempt");
    world.post.send_replace(Carrier::Delivers);
    assert!(life.rests().await);
    assert_eq!(world.sent().iter().filter(|sent| *sent == id).count(), 1);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_its_lease_does_not_touch_the_row_of_its_successor() {
    let world = World::open().await;
    let (life, accounts) = newcomers(&world, 1).await;
    let (database, id) = (&world.database, "signUp:test:0");
    world.post.send_replace(Carrier::Waits);
    let work = Work::SendAlreadyRegisteredMail { account: accounts[0] };
    enqueue(&database.pool, id, &work).await.expect("work is enqueued");
    until("it is leased", async || of_row::<i32>(database, "attempts", id).await == 1).await;
    // Another node takes it over; only then does this one fail.
    world
        .sql(
            "update process_work set attempts = 2, leased_until = now() + interval '1 hour' where id = 'signUp:test:0'",
        )
        .await;
    world.post.send_replace(Carrier::Fails);
    life.end().await;
    assert!(of_row::<bool>(database, "leased_until > now() and last_error is null", id).await, "the successor's lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_is_counted_by_lane() {
    let database = TestDatabase::fresh().await;
    let insert = "insert into process_work (id, lane, payload, due_at, attempts, state) values \
        ('a:1:0', 'command', '{}', now() - interval '10 seconds', 3, 'waiting'), \
        ('a:2:0', 'command', '{}', now() - interval '5 seconds', 0, 'stuck'), \
        ('a:3:0', 'timer', '{}', now() + interval '1 day', 0, 'waiting'), \
        ('a:4:0', 'message', '{}', 'infinity', 1, 'dead')";
    sqlx::query(insert).execute(&database.pool).await.expect("rows are inserted");
    let backlog = Backlog::count(&database.pool).await.expect("the list can be counted");
    let counted: Vec<_> = backlog.lanes.iter().map(|lane| (lane.lane, lane.due, lane.attempts)).collect();
    assert_eq!(
        counted,
        [(Lane::Command, 2, 3), (Lane::Timer, 0, 0), (Lane::Message, 0, 0), (Lane::Render, 0, 0), (Lane::Export, 0, 0)]
    );
    let oldest = backlog.lanes[0].oldest_seconds;
    assert!((10.0..60.0).contains(&oldest), "{oldest}");
    assert_eq!((backlog.stuck, backlog.dead), (1, 1));
    let revived = sqlx::query("update process_work set due_at = now() where state = 'dead'").execute(&database.pool);
    assert!(revived.await.is_err(), "a dead row is never due");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_seen_in_metrics_and_health() {
    let scene = Scene::set().await;
    let ready = async || scene.studio.get("/health/ready", None).await.json();
    let well = ready().await;
    assert_eq!((&well["status"], &well["work"]), (&json!("ready"), &json!({ "stuck": 0, "dead": 0 })));
    // A worker died with its lease; another takes it over.
    let work = Work::DeleteMedia { generation: GenerationId(Uuid::from_u128(7)) };
    let pool = &scene.studio.database.pool;
    let dead = "insert into process_work (id, lane, payload, due_at, attempts, leased_until, state, last_error) values \
        ('test:left:0', 'command', $1, now(), 1, now() - interval '1 second', 'waiting', null), \
        ('test:dead:0', 'message', $1, 'infinity', 1, null, 'dead', 'refused for good')";
    sqlx::query(dead).bind(sqlx::types::Json(&work)).execute(pool).await.expect("rows are inserted");
    scene.studio.drain().await;
    assert!(gone(&scene.studio.database, "test:left:0").await);
    let ill = ready().await;
    assert_eq!((&ill["status"], &ill["work"]), (&json!("degraded"), &json!({ "stuck": 0, "dead": 1 })));
    let shown = scene.studio.get("/metrics", None).await.text;
    for lane in Lane::ALL.map(Lane::as_str) {
        for name in ["due", "oldest_due_seconds", "attempts_max"] {
            let line = format!("atelier_process_work_{name}{{lane=\"{lane}\"}} ");
            assert!(shown.contains(&line), "{line}");
        }
    }
    for name in ["atelier_process_work_stuck ", "atelier_process_work_dead "] {
        assert!(shown.lines().any(|line| line.starts_with(name)), "{name}");
    }
    let takeovers = shown.lines().find_map(|line| {
        line.strip_prefix("atelier_process_lease_takeovers_total{lane=\"command\"} ")?.parse::<f64>().ok()
    });
    assert!(takeovers.is_some_and(|count| count >= 1.0), "{takeovers:?}");
    scene.studio.stop().await;
}

/// Runs `atelier work` on a database.
fn command(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let mut command = as_atelier::command(&[&["work"], arguments].concat());
    let output = command.env("DATABASE_URL", &database.url).output().expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_dead_and_stuck_work_is_listed_tried_again_and_given_up_for_a_reason_that_is_kept() {
    let database = TestDatabase::fresh().await;
    let insert = "insert into process_work (id, lane, payload, due_at, attempts, state, last_error, leased_until) values \
        ('Welcome:019b76da-a800-7000-8000-000000000001:0', 'message', '{\"kind\": \"send_farewell\"}', 'infinity', 1, 'dead', 'no such place', null), \
        ('Other:019b76da-a800-7000-8000-000000000002:0', 'message', '{\"kind\": \"send_farewell\"}', now() + interval '1 hour', 12, 'stuck', null, null), \
        ('Other:3:0', 'timer', '{\"kind\": \"expire_lot\"}', now() + interval '1 hour', 12, 'stuck', 'slow', null), \
        ('Other:4:0', 'timer', '{\"kind\": \"expire_lot\"}', now(), 13, 'stuck', 'slow', now() + interval '1 hour'), \
        ('Other:5:0', 'timer', '{\"kind\": \"expire_lot\"}', now(), 0, 'waiting', null, null)";
    sqlx::query(insert).execute(&database.pool).await.expect("rows are inserted");
    let (_, list) = command(&database, &["list"]);
    let farewell = "dead Welcome:019b76da-a800-7000-8000-000000000001:0 send_farewell attempts=1 asked=2026-01-01 00:00:00: no such place";
    assert!(list.contains(farewell) && !list.contains("Other:5:0"), "{list}");
    assert_eq!(list.lines().filter(|line| line.starts_with("stuck ")).count(), 3, "{list}");

    for refused in [
        &["retry", "Other:5:0"][..],
        &["retry", "nobody"],
        &["retry", "--kind", "nothing"],
        &["retry"],
        &["drop", "Other:4:0", "--reason", "it is being tried"],
        &["drop", "Other:5:0", "--reason", "it waits"],
        &["drop", "Other:3:0"],
        &["drop", "Other:3:0", "--reason", " "],
        &["drop", "Other:3:0", "--reason", "two\u{7}"],
    ] {
        let (done, said) = command(&database, refused);
        assert!(!done, "{refused:?}: {said}");
    }
    let (done, said) = command(&database, &["retry", "--kind", "send_farewell"]);
    assert!(done && said.matches("is tried again").count() == 2, "{said}");
    let state = async |id: &str| {
        let state = "select state, due_at <= now(), attempts from process_work where id = $1";
        sqlx::query_as::<_, (String, bool, i32)>(state).bind(id).fetch_one(&database.pool).await.expect("the row")
    };
    let (dead, stuck) =
        ("Welcome:019b76da-a800-7000-8000-000000000001:0", "Other:019b76da-a800-7000-8000-000000000002:0");
    assert_eq!(state(dead).await, ("waiting".to_owned(), true, 1));
    assert_eq!(state(stuck).await, ("waiting".to_owned(), true, 12));
    assert_eq!(state("Other:3:0").await, ("stuck".to_owned(), false, 12), "of another kind");

    let (done, said) = command(&database, &["drop", "Other:3:0", "--reason", "the lot is gone"]);
    assert!(done && said.contains("Other:3:0 is given up"), "{said}");
    assert!(gone(&database, "Other:3:0").await);
    let (_, list) = command(&database, &["list", "--dropped"]);
    assert!(
        list.contains("Other:3:0 expire_lot given up") && list.contains("the lot is gone (it had failed of: slow)"),
        "{list}"
    );
    let forged = sqlx::query("update dropped_work set reason = 'another'").execute(&database.pool).await;
    assert!(forged.is_err(), "a record stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_came_while_the_list_was_asked_for_is_not_missed() {
    let studio = TestStudio::start().await;
    studio.drain().await;
    // Nobody else asks from here on.
    assert!(studio.node.studio.stop().await);
    // Every connection knows the statement, so that what it waits for below is the table and not its meaning.
    for _ in 0..3 {
        let rests = join_all((0..6).map(|_| studio.node.studio.at_rest())).await;
        assert!(rests.into_iter().all(|rests| rests.expect("the list answers")));
    }
    let mut owner = PgConnection::connect(&studio.database.superuser_url).await.expect("the superuser connects");
    let mut watcher = PgConnection::connect(&studio.database.superuser_url).await.expect("the superuser connects");
    owner.execute("begin; lock table process_work in access exclusive mode").await.expect("it is locked");
    let meanwhile = async {
        let waits = "select exists (select from pg_locks where not granted and relation = 'process_work'::regclass \
                     and database = (select oid from pg_database where datname = current_database()))";
        until("the question waits", async || {
            sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut watcher).await.expect("the locks are told")
        })
        .await;
        // It comes after the question, and before the answer is read.
        let came = "insert into process_work (id, lane, payload, due_at) values ('test:late:0', 'timer', '{}', clock_timestamp())";
        owner.execute(came).await.expect("it is listed");
        owner.execute("commit").await.expect("it is there");
    };
    let (rests, ()) = tokio::join!(studio.node.studio.at_rest(), meanwhile);
    assert!(!rests.expect("the list answers"), "it is due, and not done");
}
