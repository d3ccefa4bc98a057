//! Transactions whose caller goes while they begin: an attempt that took too long, a reader that left.

use atelier_server::database;
use atelier_vault::transactions::{begin, begin_with};
use futures::{FutureExt, poll};
use sqlx::Row;

use crate::harness::TestDatabase;

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_that_is_cut_off_at_any_moment_leaves_no_connection_inside_a_transaction() {
    let database = TestDatabase::fresh().await;
    // One connection, so that what is asked next is asked on it.
    let pool = database::pool(&database.url, 1).await.expect("the application connects");
    let mut cut_off = 0;
    for turn in 0..200 {
        let mut begins = if turn % 2 == 0 {
            begin(&pool).boxed()
        } else {
            begin_with(&pool, "begin; set local work_mem = 64").boxed()
        };
        let mut begun = poll!(&mut begins).is_ready();
        for _ in 0..turn {
            if !begun {
                tokio::task::yield_now().await;
                begun = poll!(&mut begins).is_ready();
            }
        }
        cut_off += u32::from(!begun);
        drop(begins);
        // Outside a transaction the instant of the transaction is the statement's own.
        let outside = sqlx::raw_sql("select now() = statement_timestamp()").fetch_one(&pool).await.expect("it answers");
        assert!(outside.get::<bool, _>(0), "cut off in turn {turn}");
    }
    assert!(cut_off > 20, "too few were cut off: {cut_off}");
}
