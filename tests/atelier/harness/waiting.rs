//! Waiting for a studio: until it has nothing left to do, or until its read models have followed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::TestStudio;

/// How long a drain may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a query waits for read models to follow.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(20);

impl TestStudio {
    /// Waits until the studio has nothing left to do; every assertion about read models comes after.
    pub async fn drain(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.node.studio.at_rest().await.expect("the database answers") {
            assert!(Instant::now() < deadline, "the studio does not come to rest");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Time passes for who tried something, for mails that have gone, and for those that wait for their turn.
    pub async fn time_passes(&self, seconds: i32) {
        for passed in [
            "update credentials.tries set counted_at = counted_at - make_interval(secs => $1), \
             blocked_until = blocked_until - make_interval(secs => $1)",
            "update credentials.address_mails set goes_at = goes_at - make_interval(secs => $1)",
            "update credentials.mail_tokens set created_at = created_at - make_interval(secs => $1)",
            "update process_work set due_at = due_at - make_interval(secs => $1) where lane = 'message'",
        ] {
            sqlx::query(passed).bind(f64::from(seconds)).execute(&self.database.pool).await.expect("set");
        }
    }

    /// Every mail that waits for its turn goes out.
    pub async fn mails_go_out(&self) {
        self.drain().await;
        let waits =
            "select exists (select from process_work where lane = 'message' and due_at > now() and state = 'waiting')";
        for _ in 0..100 {
            let waits: bool = sqlx::query_scalar(waits).fetch_one(&self.database.pool).await.expect("the list answers");
            if !waits {
                return;
            }
            self.time_passes(61).await;
            self.drain().await;
        }
        panic!("a mail never goes out");
    }

    /// Waits until the read models have followed the log as far as it goes now, but for those that do not follow at all (stopped, or
    /// held by a test) for so long that they never will.
    pub(super) async fn followed(&self) {
        let (names, versions): (Vec<&str>, Vec<i32>) = self.node.studio.runner.followers().unzip();
        let behind = "select exists (select from unnest($2::text[], $3::int[]) as f (name, version) \
                      join checkpoints c using (name, version) where c.state <> 'stopped' and c.position < $1)";
        let pool = &self.database.pool;
        let head = sqlx::query_scalar::<_, i64>("select coalesce(max(position), 0) from events");
        let head = head.fetch_one(pool).await.expect("the database answers");
        let deadline = Instant::now() + FOLLOWS_WITHIN;
        while Instant::now() < deadline {
            let behind = sqlx::query_scalar::<_, bool>(behind).bind(head).bind(&names).bind(&versions);
            if !behind.fetch_one(pool).await.expect("the database answers") {
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}
