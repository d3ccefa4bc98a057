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
