//! Who follows, and how far everything is: heartbeats by the database's clock, the numbers an operator watches, checkpoints that others
//! moved, and versions that begin to serve.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::feed::position_as_f64;
use crate::forms;
use crate::runner::Runner;

/// How many times a projection's rest lies between two looks.
const RESTS: u32 = 10;
/// The same while a version is built that does not serve yet.
const LOOK_BUILDING: Duration = Duration::from_secs(1);
/// Between two heartbeats; a node lives if it was seen in the last minute.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What was seen at the last look.
#[derive(Default)]
struct Seen {
    /// The head of the log.
    head: Option<i64>,
    /// Each checkpoint, as a text.
    checkpoints: BTreeMap<String, String>,
}

impl Runner {
    /// Says that this node is there, until stopped; shows how far everything is; lets a version serve that has reached the head.
    pub(crate) async fn attend(&self, stop: &CancellationToken) {
        let (mut seen, mut beaten) = (Seen::default(), None::<Instant>);
        while !stop.is_cancelled() {
            let heartbeat = beaten.is_none_or(|at| at.elapsed() >= HEARTBEAT);
            let pause = match self.attend_once(heartbeat, &mut seen).await {
                Ok(building) => {
                    if building {
                        LOOK_BUILDING
                    } else {
                        self.options.rest * RESTS
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the followers cannot be watched");
                    LOOK_BUILDING
                }
            };
            if heartbeat {
                beaten = Some(Instant::now());
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        if let Ok(node) = self.node().await {
            // If this does not arrive, the heartbeat grows old.
            let _ = sqlx::query("delete from follower_nodes where node = $1").bind(node).execute(&self.pool).await;
            let _ = forms::withdraw(&self.pool, node).await;
        }
    }

    /// One look; whether a version does not serve yet.
    async fn attend_once(&self, heartbeat: bool, seen: &mut Seen) -> Result<bool, sqlx::Error> {
        let (names, versions): (Vec<&str>, Vec<i32>) = self.followers().unzip();
        if heartbeat {
            let beat = "insert into follower_nodes (node, name, version, seen_at) \
                        select $1, name, version, clock_timestamp() from unnest($2::text[], $3::int[]) as f (name, version) \
                        on conflict (node, name, version) do update set seen_at = excluded.seen_at";
            let node = self.node().await?;
            sqlx::query(beat).bind(node).bind(&names).bind(&versions).execute(&self.pool).await?;
            forms::say(&self.pool, node).await?;
        }
        let mut building = false;
        // The age of the oldest event that is not applied yet, by the clock that recorded it.
        let lag = "select c.name, coalesce(extract(epoch from greatest(clock_timestamp() - e.recorded_at, '0'))::float8, 0), \
                   c.state = 'stopped', c.serving, r.position, h.head, (select count(*) from quarantine q \
                   where (q.follower, q.version, q.place) = (c.name, c.version, c.place)), \
                   concat_ws(' ', c.position, c.state, c.place, c.holder) \
                   from unnest($1::text[], $2::int[]) as f (name, version) join checkpoints c using (name, version) \
                   cross join (select coalesce(max(position), 0) as head from events) h \
                   left join events e on e.position = c.position + 1 \
                   left join rebuilds r on r.name = c.name and r.version = c.version and r.state = 'building'";
        let rows = sqlx::query(lag).bind(&names).bind(&versions).fetch_all(&self.pool).await?;
        let before = seen.head;
        for row in rows {
            let name: String = row.try_get(0)?;
            let gauge = |gauge: metrics::Gauge, value| gauge.set(value);
            gauge(metrics::gauge!("atelier_projection_lag_seconds", "projection" => name.clone()), row.try_get(1)?);
            let stopped = f64::from(u8::from(row.try_get::<bool, _>(2)?));
            gauge(metrics::gauge!("atelier_projection_stopped", "projection" => name.clone()), stopped);
            let quarantined = position_as_f64(row.try_get(6)?);
            gauge(metrics::gauge!("atelier_quarantined_accounts", "projection" => name.clone()), quarantined);
            building |= !row.try_get::<bool, _>(3)?;
            let last: i64 = row.try_get(5)?;
            seen.head = Some(last);
            let checkpoint: String = row.try_get(7)?;
            let known = seen.checkpoints.insert(name.clone(), checkpoint.clone());
            // Whoever follows it here and moved it itself looks once too often.
            if known.is_some_and(|known| known != checkpoint)
                && let Some(moved) = self.moved.get(name.as_str())
            {
                moved.send_replace(());
            }
            // How much a build beside has still to fold; 0 when there is none.
            let left = row.try_get::<Option<i64>, _>(4)?.map_or(0, |position| last - position);
            gauge(metrics::gauge!("atelier_projection_rebuild_left", "projection" => name), position_as_f64(left));
        }
        if building {
            self.begin_to_serve(&names, &versions, before).await?;
        }
        if heartbeat || building {
            sqlx::query("select show_analysts()").execute(&self.pool).await?;
        }
        Ok(building)
    }

    /// A version that has reached where the head was at the last look has seen everything that was there when it began.
    async fn begin_to_serve(&self, names: &[&str], versions: &[i32], head: Option<i64>) -> Result<(), sqlx::Error> {
        let Some(head) = head else { return Ok(()) };
        let serve = "update checkpoints set serving = true from unnest($1::text[], $2::int[]) as f (name, version) \
                     where checkpoints.name = f.name and checkpoints.version = f.version and not serving and position >= $3 \
                     returning checkpoints.name, checkpoints.version";
        let begun: Vec<(String, i32)> =
            sqlx::query_as(serve).bind(names).bind(versions).bind(head).fetch_all(&self.pool).await?;
        for (name, version) in begun {
            tracing::info!(name, version, "a read model has reached the head and begins to serve");
        }
        Ok(())
    }
}
