//! What waits to be done: counted now and then for metrics, and on demand for `atelier doctor`.

use sqlx::{PgPool, Row};

use super::Lane;

/// The most due pieces of a lane that are counted: a count must stay cheap when there is much to count.
const COUNTED: i32 = 10_000;

/// What is due in one lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneBacklog {
    /// The lane.
    pub lane: Lane,
    /// Pieces that are due or at work; at most 10,000 are counted.
    pub due: i64,
    /// Seconds since the oldest of them was due.
    pub oldest_seconds: f64,
    /// The most attempts any of them has taken.
    pub attempts: i32,
}

/// What is due, and what does not end by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// Each lane, in the order of [`Lane::ALL`].
    pub lanes: Vec<LaneBacklog>,
    /// Pieces tried in vain so often that somebody should look; they are still tried, slowly.
    pub stuck: i64,
    /// Pieces that can never be done, kept as a record.
    pub dead: i64,
}

impl Backlog {
    /// Counts.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn count(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let names = Lane::ALL.map(Lane::as_str);
        let rows = sqlx::query(
            "select count(w.due_at), coalesce(extract(epoch from now() - min(w.due_at)), 0)::float8, coalesce(max(w.attempts), 0) \
             from unnest($1::text[]) with ordinality as l (lane, n) left join lateral \
             (select due_at, attempts from process_work w where w.lane = l.lane and w.due_at <= now() order by w.due_at limit $2) w on true \
             group by l.n order by l.n",
        )
        .bind(&names[..])
        .bind(COUNTED)
        .fetch_all(pool)
        .await?;
        let lane = |(lane, row): (Lane, &sqlx::postgres::PgRow)| {
            Ok(LaneBacklog { lane, due: row.try_get(0)?, oldest_seconds: row.try_get(1)?, attempts: row.try_get(2)? })
        };
        let lanes = Lane::ALL.into_iter().zip(&rows).map(lane).collect::<Result<_, sqlx::Error>>()?;
        let (stuck, dead) = sqlx::query_as(
            "select count(*) filter (where state = 'stuck'), count(*) filter (where state = 'dead') \
             from process_work where state <> 'waiting'",
        )
        .fetch_one(pool)
        .await?;
        Ok(Self { lanes, stuck, dead })
    }

    /// Shows the counts to whoever reads the metrics.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
    pub(super) fn publish(&self) {
        for lane in &self.lanes {
            let name = lane.lane.as_str();
            metrics::gauge!("atelier_process_work_due", "lane" => name).set(lane.due as f64);
            metrics::gauge!("atelier_process_work_oldest_due_seconds", "lane" => name).set(lane.oldest_seconds);
            metrics::gauge!("atelier_process_work_attempts_max", "lane" => name).set(f64::from(lane.attempts));
        }
        metrics::gauge!("atelier_process_work_stuck").set(self.stuck as f64);
        metrics::gauge!("atelier_process_work_dead").set(self.dead as f64);
    }
}
