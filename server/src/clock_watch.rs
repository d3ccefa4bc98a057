//! Compares this machine's clock with the database's, now and then: while they differ by more than a second, the node decides nothing.

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::WriteSide;
use atelier_commands::ports::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// The most the clocks may differ (DESIGN 8).
const MOST: TimeDelta = TimeDelta::seconds(1);
/// Between two looks. A clock that is ahead is also found by the log, which takes nothing from it.
const LOOK: Duration = Duration::from_secs(10);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How this machine's clock differs from the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// Ours less theirs.
    pub by: TimeDelta,
    /// By how much that may be wrong: half of the time that the question took.
    pub doubt: TimeDelta,
}

impl Skew {
    /// Whether it is too much, beyond doubt.
    #[must_use]
    pub fn is_too_much(self) -> bool {
        self.by.abs() - self.doubt > MOST
    }
}

/// Asks the database for the time.
///
/// # Errors
/// When the database failed.
pub async fn measure(pool: &PgPool, clock: &dyn Clock) -> Result<Skew, sqlx::Error> {
    // The connection first: waiting for one says nothing about clocks.
    let mut connection = pool.acquire().await?;
    let before = clock.now();
    let theirs: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *connection).await?;
    let doubt = (clock.now() - before).abs() / 2;
    Ok(Skew { by: before + doubt - theirs, doubt })
}

/// Looks once, and lets the node decide or not; says what was seen.
///
/// # Errors
/// When the database failed; then the node goes on as it was.
pub async fn look(write: &WriteSide) -> Result<Skew, sqlx::Error> {
    let skew = measure(&write.pool, write.ports.clock.as_ref()).await?;
    let gate = write.path.gate();
    if skew.is_too_much() != gate.is_closed() {
        let milliseconds = skew.by.num_milliseconds();
        if skew.is_too_much() {
            tracing::error!(
                milliseconds,
                "this machine's clock differs from the database's: commands are refused until it is right"
            );
        } else {
            tracing::info!(milliseconds, "this machine's clock is right again");
        }
        gate.close(skew.is_too_much());
    }
    metrics::gauge!("atelier_clock_skew_seconds").set(skew.by.as_seconds_f64());
    Ok(skew)
}

/// Looks until stopped.
pub async fn watch(write: Arc<WriteSide>, stop: CancellationToken) {
    loop {
        match tokio::time::timeout(PATIENCE, look(&write)).await {
            Ok(Ok(_)) => metrics::gauge!("atelier_database_up").set(1.0),
            Ok(Err(_)) | Err(_) => metrics::gauge!("atelier_database_up").set(0.0),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_skew_and_a_second_is_allowed() {
        let skew = |by, doubt| Skew { by: TimeDelta::milliseconds(by), doubt: TimeDelta::milliseconds(doubt) };
        for (by, doubt, too_much) in [
            (0, 0, false),
            (1_000, 0, false),
            (1_001, 0, true),
            (-1_001, 0, true),
            (1_500, 600, false),
            (-9_000, 600, true),
        ] {
            assert_eq!(skew(by, doubt).is_too_much(), too_much, "{by} {doubt}");
        }
    }
}
