//! Holders that stand still: a frozen process must not hold a projection up.

use std::time::Duration;

use tokio::time::Instant;

use super::{Projection, Runner};

/// How much longer than the bound a holder may stand before it is ended by another node.
const GRACE: Duration = Duration::from_secs(1);

impl Runner {
    /// Ends a holder whose transaction has stood longer than the database's own bounds should have let it: a frozen process that
    /// was being sent something runs into none of them. `since` is from when on it was seen at this position.
    pub(super) async fn end_frozen_holder(
        &self,
        projection: &dyn Projection,
        position: i64,
        since: &mut Option<(i64, Instant)>,
    ) {
        let limit = self.options.bound + GRACE;
        match since {
            Some((at, seen)) if *at == position && seen.elapsed() >= limit => {}
            Some((at, _)) if *at == position => return,
            _ => {
                *since = Some((position, Instant::now()));
                return;
            }
        }
        let end = "select count(pg_terminate_backend(l.pid)) from pg_locks l join pg_stat_activity a using (pid) \
                   where l.locktype = 'advisory' and l.granted and l.database = a.datid and a.datname = current_database() \
                   and l.classid::bigint = hashtext($1)::bigint & 4294967295 and l.objid::bigint = $2 and l.objsubid = 2 \
                   and a.xact_start < clock_timestamp() - make_interval(secs => $3)";
        let ended = sqlx::query_scalar::<_, i64>(end)
            .bind(projection.name())
            .bind(projection.version())
            .bind(limit.as_secs_f64())
            .fetch_one(&self.pool)
            .await;
        match ended {
            Ok(0) => {}
            Ok(_) => tracing::warn!(projection = projection.name(), position, "a frozen holder was ended"),
            Err(error) => tracing::warn!(projection = projection.name(), %error, "a frozen holder could not be ended"),
        }
        *since = None;
    }
}
