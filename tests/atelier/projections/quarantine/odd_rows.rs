//! Rows of the log that are odd in any of their columns: each costs its own stream or account, whether it is followed or replayed.

use atelier_projections::Replay;
use futures::TryStreamExt;

use super::stops::{COUNT, counted, node};
use super::*;
use crate::projections::counted_table;

/// What is wrong with the third of five events.
const ODD: &[&str] = &[
    "decided_at = 'infinity'",
    "recorded_at = '-infinity'",
    "decided_at = '290000-01-01'",
    "metadata = '{}'",
    "metadata = '[1]'",
    "metadata = '{\"actor\":\"nobody\"}'",
    "aggregate_type = 'Nobody'",
    "aggregate_type = ''",
    "aggregate_id = 'not an id'",
    "aggregate_type = 'CreditLedger', aggregate_id = 'neither:live'",
    "aggregate_type = 'Generation'",
    "event_type = ''",
    "event_type = 'EmailChanged'",
    "event_version = ''",
    "event_version = '99999999999999999999'",
    "event_version = '-1'",
    "payload = 'null'",
    "payload = '\"EmailVerified\"'",
    "payload = '{\"EmailVerified\":{},\"EmailVerified\":{}}'",
    "payload = ('{\"EmailVerified\":' || repeat('[', 300) || repeat(']', 300) || '}')::json",
    "payload = '{\"EmailVerified\\u0000\":{}}'",
];

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_row_that_is_odd_in_any_column_costs_its_own_account_alone() {
    let database = counted_table(5).await;
    let pool = &database.pool;
    as_owner(&database, "create table saved as select * from events").await;
    for odd in ODD {
        let plant = format!(
            "delete from checkpoints; truncate counted; alter table events disable trigger all; delete from events; \
             insert into events select * from saved; update events set {odd} where position = 3; \
             alter table events enable trigger all"
        );
        as_owner(&database, &plant).await;
        let runner = node(pool, COUNT);
        runner.register().await.expect("a checkpoint");
        let following = Following::start(&runner);
        at_head(pool, &["Breakable"]).await;
        following.stop().await;
        assert_eq!(counted(pool).await, [1, 2, 4, 5], "{odd}");
        let found = parked(pool).await;
        assert_eq!(
            found.iter().map(|(.., position, kind)| (*position, kind.as_str())).collect::<Vec<_>>(),
            [(3, "undecodable")],
            "{odd}"
        );
        let replayed = Replay::new(pool.clone()).envelopes(1..=5).try_collect::<Vec<_>>().await.expect("it is read");
        let undecodable: Vec<i64> =
            replayed.iter().flat_map(|range| &range.undecodable).map(|event| event.position).collect();
        assert_eq!(undecodable, [3], "{odd}");
    }
}
