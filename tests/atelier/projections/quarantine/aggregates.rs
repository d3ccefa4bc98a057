//! Each aggregate poisoned, undecodable and unfoldable, on two nodes: nobody else misses anything, and a retry ends in the bytes of a
//! log without poison, whoever dies in between.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use super::*;
use crate::projections::rich_log;

/// The account that is poisoned. Nobody else's rows mention it.
const POISONED: u32 = 2;

/// One position of each of these events of the poisoned account.
async fn places(pool: &PgPool) -> Vec<(&'static str, i64)> {
    let (account, job) = (rich_log::account(POISONED), rich_log::generation(POISONED, 0));
    let mut places = Vec::new();
    for (event, stream) in [
        ("AccountOpened", account.to_string()),
        ("SessionStarted", account.to_string()),
        ("ApiKeyCreated", account.to_string()),
        ("CreditsGranted", format!("{account}:live")),
        ("HoldPlaced", format!("{account}:live")),
        ("HoldCaptured", format!("{account}:live")),
        ("GenerationRequested", job.to_string()),
        ("GenerationSucceeded", job.to_string()),
    ] {
        let place = "select position from events where event_type = $1 and aggregate_id = $2 order by position limit 1";
        let place = sqlx::query_scalar(place).bind(event).bind(&stream).fetch_one(pool).await;
        places.push((event, place.expect("the rich log has every event")));
    }
    places
}

/// What a log without poison gives: everything, and what is of others.
type Clean = (Vec<(&'static str, String)>, Vec<(&'static str, String)>);

async fn clean(database: &TestDatabase) -> Clean {
    stopped(two_nodes(&database.pool).await).await;
    let pool = &database.pool;
    assert_eq!(states(pool).await, ["running"]);
    (dump_all(pool).await, of_others(pool, rich_log::account(POISONED)).await)
}

/// Retries every model beside running nodes; then nothing is left to repair, and every byte is as without poison, also of a rebuild.
async fn repaired(pool: &PgPool, clean: &Clean, what: &str) {
    let repairing = runner(pool, 5);
    for name in names() {
        let retried = repairing.retry(name).await.expect("a retry");
        assert_eq!(retried.failed, [], "{what}, {name}");
    }
    assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]), "{what}");
    assert_eq!(&dump_all(pool).await, &clean.0, "{what}");
    for name in names() {
        let rebuilt = repairing.rebuild(name, |_, _| {}).await.expect("a rebuild");
        assert!(rebuilt.tables.iter().all(|table| table.same() == Some(true)), "{what}, {name}: {rebuilt:?}");
        assert_eq!(rebuilt.left_out, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_an_undecodable_event_of_each_aggregate_costs_its_account_alone_until_it_is_retried() {
    let (database, _) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(POISONED));
    let clean = clean(&database).await;
    for (event, position) in places(pool).await {
        forget(&database).await;
        let was = replace(&database, position, POISON).await;
        let following = two_nodes(pool).await;
        let expected: Vec<_> = {
            let mut names = names();
            names.sort_unstable();
            let of = |name: &str| (name.to_owned(), account.to_string(), position, "undecodable".to_owned());
            names.into_iter().map(of).collect()
        };
        assert_eq!(parked(pool).await, expected, "{event}: the account of its stream, in every follower");
        assert_eq!(states(pool).await, ["partial"], "{event}");
        assert_eq!(of_others(pool, account).await, clean.1, "{event}: others are exact");
        // A release that decodes it no better changes nothing.
        let retried = runner(pool, 5).retry("Profile").await.expect("a retry");
        assert_eq!((retried.repaired.len(), retried.failed.len(), retried.failed[0].1), (0, 1, position), "{event}");
        assert_eq!(parked(pool).await, expected, "{event}");
        stopped(following).await;
        replace(&database, position, &was).await;
        // Nodes of the corrected release, which decodes it.
        let following = two_nodes(pool).await;
        assert_eq!(parked(pool).await, expected, "{event}: not before it is asked for");
        repaired(pool, &clean, event).await;
        stopped(following).await;
    }
}

/// Makes every read model refuse rows of the poisoned account, as a fold does that computes what a column does not hold.
pub async fn refuse(database: &TestDatabase, account: AccountId) {
    let mut sql = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin \
         if strpos(new::text, '{account}') > 0 then raise exception 'planted' using errcode = '22003'; end if; return new; end $$;"
    );
    for table in all().iter().flat_map(|model| model.tables()) {
        for place in ["a", "b"] {
            sql += &format!(
                "create trigger refuse before insert or update on read_models_{place}.{table} for each row execute function refuse();"
            );
        }
    }
    as_owner(database, &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_an_unfoldable_event_costs_its_account_alone_until_it_is_retried() {
    let (database, _) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(POISONED));
    let clean = clean(&database).await;
    forget(&database).await;
    refuse(&database, account).await;
    let following = two_nodes(pool).await;
    let found = parked(pool).await;
    assert_eq!(found.len(), names().len(), "{found:?}");
    assert!(found.iter().all(|(_, subject, _, kind)| *subject == account.to_string() && kind == "unfoldable"));
    let errors: Vec<String> =
        sqlx::query_scalar("select distinct error from quarantine").fetch_all(pool).await.expect("rows");
    assert_eq!(errors, ["SQLSTATE 22003"], "structure only");
    assert_eq!(of_others(pool, account).await, clean.1, "others are exact");
    let retried = runner(pool, 5).retry("Sessions").await.expect("a retry");
    assert_eq!((retried.repaired.len(), retried.failed.len()), (0, 1), "it fails again, stays, and says so");
    as_owner(&database, "drop function refuse() cascade").await;
    repaired(pool, &clean, "unfoldable").await;
    stopped(following).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_retry_ended_at_any_moment_is_finished_by_the_next_one() {
    let (database, _) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(POISONED));
    let clean = clean(&database).await;
    forget(&database).await;
    refuse(&database, account).await;
    let following = two_nodes(pool).await;
    as_owner(&database, "drop function refuse() cascade").await;
    let mut ended = 0;
    for after in 0..60_u64 {
        for name in ["Creations", "TransactionHistory", "Profile"] {
            let again = runner(pool, 2);
            ended += u32::from(timeout(Duration::from_micros(600 * after), again.retry(name)).await.is_err());
        }
        assert_eq!(of_others(pool, account).await, clean.1, "ended after {after}: others are exact");
        // Whole, or still left out: never neither.
        for (name, rows) in dump_all(pool).await {
            let left_out = parked(pool).await.iter().any(|(follower, ..)| follower == name);
            let whole = clean.0.iter().any(|(model, clean)| *model == name && *clean == rows);
            assert!(left_out || whole, "ended after {after}: {name}");
        }
    }
    assert!(ended > 20, "most were ended: {ended}");
    repaired(pool, &clean, "ended").await;
    stopped(following).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_two_retries_at_once_fold_every_event_once() {
    let (database, _) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(POISONED));
    let clean = clean(&database).await;
    let mut overtaken = 0;
    for round in 0..4_u64 {
        forget(&database).await;
        refuse(&database, account).await;
        let following = two_nodes(pool).await;
        as_owner(&database, "drop function refuse() cascade").await;
        for (number, name) in (0..).zip(names()) {
            // The second one begins while the first is somewhere between its pieces of one event each.
            let second = async {
                sleep(Duration::from_micros(300 * (number + 11 * round))).await;
                runner(pool, 1).retry(name).await.expect("a retry")
            };
            let (first, second) = tokio::join!(async { runner(pool, 1).retry(name).await.expect("a retry") }, second);
            overtaken += u32::from(first.repaired.len() + second.repaired.len() == 1);
            assert_eq!((first.failed, second.failed), (vec![], vec![]), "{name}");
        }
        assert_eq!(parked(pool).await, [], "round {round}");
        assert_eq!(dump_all(pool).await, clean.0, "round {round}");
        stopped(following).await;
    }
    assert!(overtaken > 4, "in {overtaken} one of the two did it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_an_erased_account_leaves_every_quarantine_with_all_of_its_rows() {
    let (database, _) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(rich_log::DELETED));
    stopped(two_nodes(pool).await).await;
    let clean = dump_all(pool).await;
    // Its first event: everything after it is left out, but for its end. Then one in the middle, when it has rows.
    for event in ["AccountOpened", "HoldCaptured"] {
        forget(&database).await;
        let place = "select position from events where event_type = $1 and strpos(aggregate_id, $2) = 1 order by position limit 1";
        let place: i64 = sqlx::query_scalar(place)
            .bind(event)
            .bind(account.to_string())
            .fetch_one(pool)
            .await
            .expect("the rich log has every event");
        let was = replace(&database, place, POISON).await;
        stopped(two_nodes(pool).await).await;
        assert_eq!((parked(pool).await, states(pool).await), (Vec::new(), vec!["running".to_owned()]), "{event}");
        assert_eq!(dump_all(pool).await, clean, "{event}");
        for name in names() {
            let rebuilt = runner(pool, 7).rebuild(name, |_, _| {}).await.expect("a rebuild");
            assert!(rebuilt.tables.iter().all(|table| table.same() == Some(true)), "{event}, {name}: {rebuilt:?}");
        }
        replace(&database, place, &was).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_others_miss_nothing_while_two_nodes_follow_a_log_that_grows_and_is_poisoned() {
    let (database, head) = rich_log::database().await;
    let (pool, account) = (&database.pool, rich_log::account(POISONED));
    let clean = clean(&database).await;
    let poisoned = places(pool).await.into_iter().map(|(_, position)| position).max().expect("places");
    forget(&database).await;
    // The same log again, a few events at a time under two nodes, with poison on its way.
    let again = "create table later as select * from events; alter table events disable trigger all; delete from events; \
                 alter table events enable trigger all";
    as_owner(&database, again).await;
    let following = two_nodes(pool).await;
    for from in (0..head).step_by(9) {
        let more = format!(
            "insert into events select aggregate_type, aggregate_id, sequence, event_type, event_version, \
             case when position = {poisoned} then '{POISON}' else payload end, metadata, position, event_id, decided_at, recorded_at \
             from later where position > {from} and position <= {from} + 9 order by position"
        );
        as_owner(&database, &more).await;
    }
    at_head(pool, &names()).await;
    assert_eq!(parked(pool).await.len(), names().len());
    assert_eq!(of_others(pool, account).await, clean.1, "others are exact");
    stopped(following).await;
    let back = format!(
        "alter table events disable trigger all; update events set payload = later.payload from later \
         where events.position = {poisoned} and later.position = {poisoned}; alter table events enable trigger all"
    );
    as_owner(&database, &back).await;
    let following = two_nodes(pool).await;
    repaired(pool, &clean, "under load").await;
    stopped(following).await;
}
