//! What still stops a follower, and what ends a stop by itself: the fold's own SQL, a form that a newer live node decodes, many accounts
//! at once; and what the release before the quarantine stopped at.

use async_trait::async_trait;
use atelier_domain::Envelope;
use atelier_projections::Projection;
use serde_json::json;

use super::*;
use crate::harness::process::until;
use crate::projections::{append, counted_table};

const EVENT: &str = r#"{"EmailVerified":{}}"#;

/// Counts events by SQL that a test may break.
struct Breakable(&'static str);

#[async_trait]
impl Projection for Breakable {
    fn name(&self) -> &'static str {
        "Breakable"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["counted"]
    }

    /// Its rows know no account; none of these is ever folded twice.
    async fn forget(&self, _: &mut PgConnection, _: AccountId) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        for event in events {
            sqlx::query(self.0).bind(event.position).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

pub const COUNT: &str = "insert into counted (position) values ($1)";

pub fn node(pool: &PgPool, sql: &'static str) -> Arc<Runner> {
    let options = RunnerOptions { batch: 100, rest: Duration::from_millis(2), ..RunnerOptions::default() };
    Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), vec![Arc::new(Breakable(sql))], options))
}

async fn following(pool: &PgPool, sql: &'static str) -> Following {
    let runner = node(pool, sql);
    runner.register().await.expect("a checkpoint");
    Following::start(&runner)
}

/// State, position, failed position and error of the checkpoint.
async fn checkpoint(pool: &PgPool) -> (String, i64, Option<i64>, Option<String>) {
    let row = "select state, position, failed_position, error from checkpoints where name = 'Breakable'";
    sqlx::query_as(row).fetch_one(pool).await.expect("a checkpoint")
}

/// Waits until it is stopped, and says where and why.
async fn stop_at(pool: &PgPool) -> (i64, i64, String) {
    until("a stop", async || match checkpoint(pool).await {
        (state, position, Some(failed), Some(error)) if state == "stopped" => Some((position, failed, error)),
        _ => None,
    })
    .await
}

pub async fn counted(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select position from counted order by position").fetch_all(pool).await.expect("rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_wrong_sql_stops_the_follower_and_waits_for_an_operator() {
    let database = counted_table(5).await;
    let pool = &database.pool;
    let wrong = following(pool, "insert into nowhere (position) values ($1)").await;
    let (position, failed, error) = stop_at(pool).await;
    assert_eq!((position, failed, error.as_str()), (0, 1, "SQLSTATE 42P01"));
    assert_eq!(parked(pool).await, []);
    wrong.stop().await;
    let corrected = following(pool, COUNT).await;
    append(pool, 6, 1, EVENT).await;
    let retried = node(pool, COUNT).retry("Breakable").await.expect("a retry");
    assert!(retried.resumed && retried.failed.is_empty(), "{retried:?}");
    at_head(pool, &["Breakable"]).await;
    corrected.stop().await;
    assert_eq!(counted(pool).await, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_what_the_release_before_stopped_at_goes_on_by_itself_and_is_quarantined_if_it_still_fails() {
    let database = counted_table(5).await;
    let pool = &database.pool;
    node(pool, COUNT).register().await.expect("a checkpoint");
    replace(&database, 4, POISON).await;
    // As e0c212b left them.
    for (at, error) in [
        (1, "SQLSTATE 22009 "),
        (2, "SQLSTATE 23505 some_key"),
        (3, "the row could not be converted"),
        (4, "cannot be decoded: malformed payload of EmailVerified at line 1 column 14"),
    ] {
        let stop = "update checkpoints set position = $1 - 1, state = 'stopped', failed_position = $1, error = $2";
        sqlx::query(stop).bind(i64::from(at)).bind(error).execute(pool).await.expect("a stop");
        let follower = Following::start(&node(pool, COUNT));
        at_head(pool, &["Breakable"]).await;
        follower.stop().await;
        let expected: Vec<i64> = (at..=5).map(i64::from).filter(|position| *position != 4).collect();
        assert_eq!(counted(pool).await, expected, "{error}");
        assert_eq!(parked(pool).await[0].2, 4, "{error}");
        as_owner(&database, "truncate counted; delete from quarantine").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_more_than_three_accounts_in_a_minute_that_nobody_decodes_stop_the_follower() {
    let database = counted_table(3).await;
    let pool = &database.pool;
    append(pool, 4, 4, POISON).await;
    append(pool, 8, 1, EVENT).await;
    let following = following(pool, COUNT).await;
    let (position, failed, error) = stop_at(pool).await;
    assert_eq!((position, failed), (6, 7), "three are left out, and it stops at the fourth");
    assert!(
        error.starts_with("too many accounts in a minute with events that cannot be decoded: malformed"),
        "{error}"
    );
    assert_eq!((counted(pool).await, parked(pool).await.len()), (vec![1, 2, 3], 3));
    // A minute later an operator lets it go on.
    as_owner(&database, "update quarantine set since = since - interval '2 minutes'").await;
    assert!(node(pool, COUNT).retry("Breakable").await.expect("a retry").resumed);
    at_head(pool, &["Breakable"]).await;
    assert_eq!((counted(pool).await, parked(pool).await.len()), (vec![1, 2, 3, 8], 4));
    assert_eq!(checkpoint(pool).await.0, "partial");
    following.stop().await;
}

/// An event of a form that this release does not have.
async fn from_the_future(pool: &PgPool, account: i64) {
    append(pool, account, 1, r#"{"NotYetInvented":{}}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_form_that_only_a_newer_live_node_decodes_is_left_to_it_and_parked_once_none_lives() {
    let database = counted_table(2).await;
    let pool = &database.pool;
    from_the_future(pool, 3).await;
    let named = "alter table events disable trigger all; update events set event_type = 'NotYetInvented', event_version = '2' where position = 3; \
                 alter table events enable trigger all";
    as_owner(&database, named).await;
    append(pool, 4, 1, EVENT).await;
    let say = "insert into node_forms (node, forms, seen_at) values (gen_random_uuid(), $1, clock_timestamp())";
    let forms = json!({ "Account.NotYetInvented": 2, "Account.EmailVerified": 1 });
    sqlx::query(say).bind(forms).execute(pool).await.expect("a newer node");
    let following = following(pool, COUNT).await;
    let (position, failed, error) = stop_at(pool).await;
    assert_eq!((position, failed), (2, 3));
    assert!(error.starts_with("cannot be decoded: "), "{error}");
    // A lesser version is no promise.
    sqlx::query("update node_forms set forms = '{\"Account.NotYetInvented\": 1}' where not forms ? 'Generation.GenerationRequested'")
        .execute(pool)
        .await
        .expect("set");
    at_head(pool, &["Breakable"]).await;
    assert_eq!((counted(pool).await, parked(pool).await[0].2), (vec![1, 2, 4], 3));
    // Seen too long ago it is no promise either.
    from_the_future(pool, 5).await;
    let again = "alter table events disable trigger all; update events set event_type = 'NotYetInvented', event_version = '2' where position = 5; \
                 alter table events enable trigger all";
    at_head(pool, &["Breakable"]).await;
    following.stop().await;
    as_owner(&database, again).await;
    as_owner(
        &database,
        "delete from quarantine where position = 5; update checkpoints set position = 4 where name = 'Breakable'; \
         update node_forms set forms = '{\"Account.NotYetInvented\": 2}', seen_at = now() - interval '2 minutes'",
    )
    .await;
    let following = Following::start(&node(pool, COUNT));
    at_head(pool, &["Breakable"]).await;
    following.stop().await;
    assert_eq!(parked(pool).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_node_says_what_it_decodes_before_it_serves_and_takes_it_back() {
    let database = counted_table(1).await;
    let pool = &database.pool;
    let runner = node(pool, COUNT);
    runner.register().await.expect("a checkpoint");
    let said: Vec<serde_json::Value> =
        sqlx::query_scalar("select forms from node_forms").fetch_all(pool).await.expect("forms");
    assert_eq!(said.len(), 1);
    // Each committed form, in its highest version.
    let files =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/event_forms")).expect("the forms are committed");
    let mut expected = std::collections::BTreeMap::<String, i64>::new();
    for file in files {
        let file = file.expect("an entry").file_name().to_string_lossy().into_owned();
        let (form, version) = file.strip_suffix(".json").and_then(|form| form.rsplit_once(".v")).expect("a form");
        let version: i64 = version.parse().expect("a number");
        expected.entry(form.to_owned()).and_modify(|known| *known = version.max(*known)).or_insert(version);
    }
    assert_eq!(said[0], json!(expected));
    let following = Following::start(&runner);
    at_head(pool, &["Breakable"]).await;
    following.stop().await;
    let left: i64 = sqlx::query_scalar("select count(*) from node_forms").fetch_one(pool).await.expect("a count");
    assert_eq!(left, 0);
}
