//! Transactions whose caller goes while they begin: an attempt that took too long, a reader that left.

use atelier_vault::transactions::{begin, begin_with};
use futures::{FutureExt, poll};

use crate::harness::TestDatabase;
use crate::harness::process::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_that_is_cut_off_at_any_moment_leaves_no_connection_inside_a_transaction() {
    let pool = TestDatabase::fresh().await.pool;
    let mut cut_off = 0;
    for turn in 0..300 {
        let mut begins = if turn % 2 == 0 {
            begin(&pool).boxed()
        } else {
            begin_with(&pool, "begin; set local work_mem = 64").boxed()
        };
        let mut begun = poll!(&mut begins).is_ready();
        for _ in 0..turn / 10 {
            tokio::task::yield_now().await;
            begun = begun || poll!(&mut begins).is_ready();
        }
        cut_off += u32::from(!begun);
    }
    assert!(cut_off > 20, "too few were cut off: {cut_off}");
    until("every connection at rest", async || {
        let open = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&pool).await.expect("the database answers");
        (open == 0).then_some(())
    })
    .await;
}
