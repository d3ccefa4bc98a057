//! The read side's promises: rebuilt equals live, exactly once behind the fence, poison costs one account and shows (DESIGN 5).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::Envelope;
use atelier_projections::models::all;
use atelier_projections::{Feed, Projection, Runner, RunnerOptions, quarantined};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness::{TestDatabase, TestStudio};

mod batches;
mod child;
mod counted;
mod quarantine;
mod rebuild;
mod replay;
mod rich_log;
mod shows;
mod takeover;

/// Every row of every table of a projection, as text, in key order.
async fn dump(pool: &PgPool, tables: &[&str]) -> String {
    let mut text = String::new();
    for table in tables {
        let sql =
            format!("select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from read_models.{table} t");
        text += &format!("{table}\n{}\n", sqlx::query_scalar::<_, String>(&sql).fetch_one(pool).await.expect("a dump"));
    }
    text
}

async fn dump_all(pool: &PgPool) -> Vec<(&'static str, String)> {
    let mut dumps = Vec::new();
    for projection in all() {
        dumps.push((projection.name(), dump(pool, projection.tables()).await));
    }
    dumps
}

/// Waits until these followers are at the head.
async fn at_head(pool: &PgPool, names: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let behind =
        "select count(*) from checkpoints where name = any($1) and position < (select max(position) from events)";
    while sqlx::query_scalar::<_, i64>(behind).bind(names).fetch_one(pool).await.expect("checkpoints") > 0 {
        assert!(Instant::now() < deadline, "the followers do not reach the head");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A runner at work, until it is stopped.
struct Following(TaskTracker, CancellationToken);

impl Following {
    fn start(runner: &Arc<Runner>) -> Self {
        let following = Self(TaskTracker::new(), CancellationToken::new());
        runner.clone().start(&following.0, &following.1);
        following
    }

    async fn stop(self) {
        self.1.cancel();
        self.0.close();
        self.0.wait().await;
    }
}

/// A little of everything: delivered, refused, cancelled, deleted, private, two accounts, keys, sessions, a copy of everything.
async fn live(studio: &TestStudio) {
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (_, key) = studio.api_key(&ada).await;
    let small = |prompt: &str| json!({ "prompt": prompt, "model": "z-image-turbo", "width": 64, "height": 64 });
    let first = studio.post("/v1/generate", &key, &small("one")).await.json()["request_id"].clone();
    studio.post("/v1/generate", &key, &small("two")).await;
    let queued = studio.post_with("/v1/generate", &key, &small("three"), &[("prefer", "wait=0")]).await.json();
    let path = format!("/v1/generations/{}/cancel", queued["request_id"].as_str().expect("an id"));
    studio.post(&path, &key, &json!({})).await;
    studio.post("/v1/generate", &key, &json!({ "prompt": "dear", "model": "nano-banana-pro" })).await;
    let delete = "mutation($id: ID!) { deleteGeneration(input: {id: $id}) { userErrors { code } } }";
    studio.mutate(Some(&ada.token), delete, json!({ "id": first })).await;
    let update = "mutation { updateProfile(input: {displayName: \"Ada L.\", bio: \"Hello\"}) { userErrors { code } } }";
    studio.mutate(Some(&ada.token), update, json!({})).await;
    let export = "mutation { requestDataExport { userErrors { code } } }";
    studio.mutate(Some(&ada.token), export, json!({})).await;
    studio.mutate(Some(&ben.token), "mutation { signOut { userErrors { code } } }", json!({})).await;
    studio.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l19_g5_rebuilt_from_zero_equals_live_at_any_batch_size() {
    let studio = TestStudio::start().await;
    live(&studio).await;
    let pool = studio.database.pool.clone();
    let followed = dump_all(&pool).await;
    assert!(followed.iter().all(|(_, rows)| rows.contains('(')), "every read model has rows: {followed:?}");
    // On the running node, which goes on answering; then by runners of their own, one event at a time, and seven. An odd number, so
    // that what is read in the end is in the other place.
    let own = |batch| {
        let options = RunnerOptions { batch, ..RunnerOptions::default() };
        Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), all(), options))
    };
    for runner in [studio.node.studio.runner.clone(), own(1), own(7)] {
        for projection in all() {
            let rebuilt = runner.rebuild(projection.name(), |_, _| {}).await.expect("a rebuild");
            assert!(rebuilt.tables.iter().all(|table| table.same() == Some(true)), "{rebuilt:?}");
        }
        assert_eq!(dump_all(&pool).await, followed);
    }
    live_again(&studio).await;
    assert_ne!(dump_all(&pool).await, followed, "the node follows into what has taken over");
    studio.stop().await;
}

/// Something more happens, and is seen by its owner.
async fn live_again(studio: &TestStudio) {
    let eve = studio.newcomer("eve").await;
    let me = studio.graphql(Some(&eve.token), "{ me { profile { username } credits { available } } }", json!({})).await;
    assert_eq!(me["me"], json!({ "profile": { "username": "eve" }, "credits": { "available": 500 } }));
}

/// Counts events into a row, without any care of its own about being called twice.
struct Counter;

#[async_trait]
impl Projection for Counter {
    fn name(&self) -> &'static str {
        "Counter"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["counted"]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        for event in events {
            sqlx::query("insert into counted (position) values ($1)")
                .bind(event.position)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// A database with `count` events, and a table without any key that the application may write.
async fn counted_table(count: i64) -> TestDatabase {
    let database = TestDatabase::fresh().await;
    let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
    owner
        .execute("create table counted (position bigint); grant select, insert, delete on counted to atelier_app")
        .await
        .expect("a table");
    owner.close().await.expect("the owner leaves");
    if count > 0 {
        append(&database.pool, 1, count, r#"{"EmailVerified":{}}"#).await;
    }
    database
}

/// Appends events straight through the append function: verified accounts, each its own stream.
async fn append(pool: &PgPool, first: i64, count: i64, payload: &str) {
    let metadata = r#"{"actor":"operator","correlation_id":"00000000-0000-0000-0000-000000000001","causation_id":"00000000-0000-0000-0000-000000000001"}"#;
    sqlx::query(
        "select append_events(array_agg(n::int), array_agg('Account'::text), array_agg('00000000-0000-0000-0000-' || lpad(n::text, 12, '0')), \
         array_agg(1::bigint), array_agg('EmailVerified'::text), array_agg('1'::text), array_agg($3::text), array_agg($4::text), array_agg(gen_random_uuid()), \
         array_agg(now()), '{}', '{}', '{}', '{}', '{}', '{}', '{}') from generate_series($1, $1 + $2 - 1) n",
    )
    .bind(first)
    .bind(count)
    .bind(payload)
    .bind(metadata)
    .execute(pool)
    .await
    .expect("events are appended");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_the_fence_folds_each_event_once_on_three_runners_with_one_killed() {
    let database = counted_table(400).await;
    let runners: Vec<_> = (0..3)
        .map(|_| {
            let options = RunnerOptions { batch: 7, rest: Duration::from_millis(1), ..RunnerOptions::default() };
            let runner =
                Runner::new(database.pool.clone(), Feed::new(database.pool.clone()), vec![Arc::new(Counter)], options);
            (Arc::new(runner), TaskTracker::new(), CancellationToken::new())
        })
        .collect();
    for (runner, tasks, stop) in &runners {
        runner.register().await.expect("a checkpoint");
        runner.clone().start(tasks, stop);
    }
    append(&database.pool, 401, 200, r#"{"EmailVerified":{}}"#).await;
    runners[0].2.cancel();
    append(&database.pool, 601, 200, r#"{"EmailVerified":{}}"#).await;
    at_head(&database.pool, &["Counter"]).await;
    for (_, tasks, stop) in &runners {
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
    let row = sqlx::query("select count(*), count(distinct position), max(position) from counted")
        .fetch_one(&database.pool)
        .await;
    let row = row.expect("a count");
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2)), (800, 800, 800));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_poison_event_costs_its_account_alone_shows_where_and_is_not_lost() {
    let database = counted_table(5).await;
    append(&database.pool, 6, 1, r#"{"NoSuchEvent":{}}"#).await;
    append(&database.pool, 7, 5, r#"{"EmailVerified":{}}"#).await;
    let options = RunnerOptions { batch: 100, rest: Duration::from_millis(5), ..RunnerOptions::default() };
    let feed = Feed::new(database.pool.clone());
    let runner = Arc::new(Runner::new(database.pool.clone(), feed, vec![Arc::new(Counter)], options));
    runner.register().await.expect("a checkpoint");
    let following = Following::start(&runner);
    at_head(&database.pool, &["Counter"]).await;
    following.stop().await;
    let rows: Vec<i64> = sqlx::query_scalar("select position from counted order by position")
        .fetch_all(&database.pool)
        .await
        .expect("rows");
    assert_eq!(rows, [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
    let parked = quarantined(&database.pool, 10).await.expect("the quarantine");
    let [parked] = &parked[..] else { panic!("one account: {parked:?}") };
    assert_eq!((parked.position, parked.kind.as_str()), (6, "undecodable"));
    assert!(parked.error.contains("malformed payload of EmailVerified"), "{parked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_quarantine_shows_in_health_and_the_others_go_on() {
    let studio = TestStudio::start().await;
    append(&studio.database.pool, 1, 1, r#"{"NoSuchEvent":{}}"#).await;
    studio.drain().await;
    let health = studio.get("/health/ready", None).await;
    let (status, body) = (health.status.as_u16(), health.json());
    assert_eq!((status, &body["status"], &body["stopped_projections"]), (200, &json!("degraded"), &json!([])));
    let shown = body["quarantine"].as_array().expect("a list");
    assert!(shown.iter().any(|one| *one == json!({ "projection": "Profile", "version": 2, "accounts": 1 })), "{body}");
    live_again(&studio).await;
    studio.stop().await;
}

/// Asks for work, as a process manager does: it has no tables.
struct Asker;

#[async_trait]
impl Projection for Asker {
    fn name(&self) -> &'static str {
        "Asker"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        Counter.apply(connection, events).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_a_new_follower_that_asks_for_work_does_not_ask_for_all_of_history() {
    let database = counted_table(5).await;
    let feed = Feed::new(database.pool.clone());
    let runner =
        Runner::new(database.pool.clone(), feed, vec![Arc::new(Asker), Arc::new(Counter)], RunnerOptions::default());
    runner.register().await.expect("checkpoints");
    let starts = "select name, position from checkpoints where name in ('Asker', 'Counter') order by name";
    let starts: Vec<(String, i64)> = sqlx::query_as(starts).fetch_all(&database.pool).await.expect("two rows");
    assert_eq!(starts, [("Asker".to_owned(), 5), ("Counter".to_owned(), 0)], "and a read model folds all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_stop_at_what_only_an_older_node_could_not_fold_ends_by_itself_and_no_other_does() {
    let database = counted_table(5).await;
    let options = RunnerOptions { batch: 100, rest: Duration::from_millis(5), ..RunnerOptions::default() };
    let feed = Feed::new(database.pool.clone());
    let runner = Arc::new(Runner::new(database.pool.clone(), feed, vec![Arc::new(Counter), Arc::new(Asker)], options));
    runner.register().await.expect("checkpoints");
    // As an older node left the one, and wrong SQL the other.
    let stop =
        "update checkpoints set position = 0, state = 'stopped', failed_position = 1, error = $2 where name = $1";
    for (name, error) in [("Counter", "cannot be decoded: unknown version"), ("Asker", "SQLSTATE 42703")] {
        sqlx::query(stop).bind(name).bind(error).execute(&database.pool).await.expect("a stop");
    }
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    runner.start(&tasks, &stop);
    at_head(&database.pool, &["Counter"]).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let state = "select state, position from checkpoints where name = 'Asker'";
    let state: (String, i64) = sqlx::query_as(state).fetch_one(&database.pool).await.expect("a checkpoint");
    assert_eq!(state, ("stopped".to_owned(), 0), "it waits for an operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_another_release_goes_back_on_the_list_and_holds_nobody_up() {
    let studio = TestStudio::start().await;
    let insert = "insert into process_work (id, lane, payload, due_at) \
                  values ('Later:1:0', 'message', '{\"kind\": \"not_yet_invented\"}', now() - interval '1 day')";
    sqlx::query(insert).execute(&studio.database.pool).await.expect("a row");
    // The oldest row of the lane that the verification mail comes by.
    studio.newcomer("ada").await;
    let row =
        "select due_at > now(), leased_until is null, last_error is not null from process_work where id = 'Later:1:0'";
    let row: (bool, bool, bool) =
        sqlx::query_as(row).fetch_one(&studio.database.pool).await.expect("it is still there");
    assert_eq!(row, (true, true, true));
    studio.stop().await;
}
