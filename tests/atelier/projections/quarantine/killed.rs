//! A retry in a process of its own that is killed in the middle of what it writes: the account stays left out, whole to nobody, and the next
//! retry makes it whole.

use std::process::Stdio;

use super::aggregates::refuse;
use super::*;
use crate::as_atelier;
use crate::harness::process::until;
use crate::projections::rich_log;

/// The read model that is folded again, and its table.
const MODEL: &str = "Profile";
const TABLE: &str = "read_models_a.profile_v2";

/// What a retry is held up by, each in a transaction that is then lost: what is done before it, what its holder does, and the lock that it
/// waits for then.
const MOMENTS: &[(&str, &str, &str, &str)] = &[
    (
        "removing the rows",
        "select 1",
        "begin; lock table {table} in access exclusive mode",
        "relation = '{table}'::regclass",
    ),
    (
        "folding them",
        "create trigger hold before insert on {table} for each row execute function hold()",
        "select pg_advisory_lock(42)",
        "locktype = 'advisory' and objid = 42",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_retry_whose_process_is_killed_is_finished_by_the_next_one() {
    let (database, _) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(2));
    stopped(two_nodes(pool).await).await;
    let (clean, of_everybody_else) = (dump_all(pool).await, of_others(pool, account).await);
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    as_owner(
        &database,
        "create function hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(42); \
         return coalesce(new, old); end $$",
    )
    .await;
    for (moment, before, hold, waited_for) in MOMENTS {
        forget(&database).await;
        refuse(&database, account).await;
        let following = two_nodes(pool).await;
        assert!(parked(pool).await.iter().any(|(follower, ..)| follower == MODEL), "{moment}");
        as_owner(&database, "drop function refuse() cascade").await;
        let on_table = |sql: &str| sql.replace("{table}", TABLE);
        as_owner(&database, &on_table(before)).await;
        let mut holder = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
        holder.execute(on_table(hold).as_str()).await.expect("it is held");
        let mut retry = as_atelier::command(&["projections", "retry", MODEL]);
        retry.env("DATABASE_URL", &database.url).env("ATELIER_DATA", folder.path());
        let mut retry = retry.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("this binary starts");
        let waits = format!(
            "select exists (select from pg_locks where not granted and {} \
             and database = (select oid from pg_database where datname = current_database()))",
            on_table(waited_for)
        );
        until(moment, async || {
            assert!(retry.try_wait().expect("our own child").is_none(), "{moment}: it ended without being held up");
            sqlx::query_scalar::<_, bool>(&waits).fetch_one(pool).await.expect("the locks are told").then_some(())
        })
        .await;
        retry.kill().expect("our own child");
        retry.wait().expect("our own child");
        holder.close().await.expect("the owner leaves");
        as_owner(&database, &on_table("drop trigger if exists hold on {table}")).await;
        // Neither half of it stands, and the account is left out as before.
        assert!(parked(pool).await.iter().any(|(follower, ..)| follower == MODEL), "{moment}: it is left out");
        assert_eq!(of_others(pool, account).await, of_everybody_else, "{moment}: others are exact");
        for name in names() {
            let mut retry = as_atelier::command(&["projections", "retry", name]);
            retry.env("DATABASE_URL", &database.url).env("ATELIER_DATA", folder.path());
            let done = tokio::process::Command::from(retry).output().await.expect("this binary starts");
            assert!(done.status.success(), "{moment}, {name}: {}", String::from_utf8_lossy(&done.stderr));
        }
        assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]), "{moment}");
        assert_eq!(dump_all(pool).await, clean, "{moment}");
        stopped(following).await;
    }
}
