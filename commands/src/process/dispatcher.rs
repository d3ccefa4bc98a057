//! The dispatcher: leases work that is due, carries it out, and takes it off the list; at least once, on any number of nodes.

use std::time::Duration;

use atelier_domain::Actor;
use sqlx::Row;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::work::WorkError;
use super::work_rows::{self, Leased};
use super::{Backlog, Lane, Work, execute};
use crate::command_path::CommandContext;
use crate::write_side::WriteSide;

/// From this attempt on a piece of work is stuck: somebody should look. It took about a quarter of an hour to get there.
const STUCK_AFTER: i32 = 12;
/// The longest pause between two attempts, seconds, and the pause of what is stuck.
const LONGEST_PAUSE: f64 = 300.0;
const STUCK_PAUSE: f64 = 900.0;
/// The shortest, for what came a moment too early.
const SHORTEST_PAUSE: f64 = 0.01;

/// How many times longer an idle dispatcher waits than one that has just done something.
const IDLE: u32 = 20;

/// The dispatcher's bounds.
#[derive(Debug, Clone)]
pub struct DispatcherOptions {
    /// How many quick pieces of work run at once.
    pub quick_at_once: usize,
    /// How many renders run at once; one more for an account that has none at work.
    pub renders_at_once: usize,
    /// How long a node that is not heard of any more keeps a piece from the others; a living one renews it.
    pub lease: Duration,
    /// How long one attempt at quick work may last: longer than a lease, because a disk that is busy with gigabytes of somebody else's
    /// writes may keep one small file's fsync waiting for that long.
    pub quick_within: Duration,
    /// How long one attempt at a render may last: as long as a job may.
    pub render_within: Duration,
    /// How many copies of an account's data are made at once.
    pub exports_at_once: usize,
    /// How long one attempt at a copy may last: less than the hour after which the files of a deleted account are removed once more.
    pub export_within: Duration,
    /// How soon the list is looked at again without being woken, after something happened; then twice as long each time, up to
    /// twenty times this, but for what is due before.
    pub poll: Duration,
    /// How often the backlog is counted for the metrics.
    pub count: Duration,
}

impl Default for DispatcherOptions {
    fn default() -> Self {
        Self {
            quick_at_once: 8,
            renders_at_once: 2,
            // Renewed while its worker lives, so short: after a crash nothing waits longer (G11).
            lease: Duration::from_secs(20),
            quick_within: Duration::from_secs(60),
            render_within: Duration::from_secs(600),
            exports_at_once: 1,
            export_within: Duration::from_secs(1_800),
            poll: Duration::from_millis(500),
            count: Duration::from_secs(10),
        }
    }
}

/// Carries out what process managers ask for.
pub struct Dispatcher {
    write: WriteSide,
    options: DispatcherOptions,
}

impl Dispatcher {
    /// A dispatcher over the write side.
    #[must_use]
    pub const fn new(write: WriteSide, options: DispatcherOptions) -> Self {
        Self { write, options }
    }

    /// Works until stopped; what it has begun it finishes. `wake` says that new work may have arrived; `head`, the last position of the
    /// log, that something happens and so work may soon arrive, on whichever node.
    pub async fn run(&self, wake: &Notify, head: &watch::Receiver<i64>, stop: &CancellationToken) {
        let quick = [Lane::Command, Lane::Timer, Lane::Message];
        tokio::join!(
            self.run_lanes(&quick, self.options.quick_at_once, wake, head.clone(), stop),
            self.run_lanes(&[Lane::Render], self.options.renders_at_once, wake, head.clone(), stop),
            self.run_lanes(&[Lane::Export], self.options.exports_at_once, wake, head.clone(), stop),
            self.count(stop),
        );
    }

    async fn run_lanes(
        &self,
        lanes: &[Lane],
        at_once: usize,
        wake: &Notify,
        mut head: watch::Receiver<i64>,
        stop: &CancellationToken,
    ) {
        let mut running = JoinSet::new();
        let mut pause = self.options.poll;
        loop {
            // Listened for before looking, so that work arriving in between is not missed.
            let woken = wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let free = at_once.saturating_sub(running.len());
            let leased = match self.lease(lanes, free, running.len()).await {
                Ok(leased) => leased,
                Err(error) => {
                    tracing::warn!(%error, "due work could not be leased");
                    Vec::new()
                }
            };
            let more = !leased.is_empty();
            for piece in leased {
                let (write, options) = (self.write.clone(), self.options.clone());
                running.spawn(async move { carry_out(&write, piece, &options).await });
            }
            if stop.is_cancelled() {
                break;
            }
            if more {
                pause = self.options.poll;
                if running.len() <= at_once {
                    continue;
                }
            }
            let mut until = Instant::now() + self.until_due(lanes, pause).await;
            pause = (pause * 2).min(self.options.poll * IDLE);
            loop {
                tokio::select! {
                    Some(_) = running.join_next(), if !running.is_empty() => pause = self.options.poll,
                    () = &mut woken => pause = self.options.poll,
                    // Its sender lives as long as the node; without it the looks alone go on.
                    Ok(()) = head.changed() => {
                        pause = self.options.poll;
                        until = until.min(Instant::now() + pause);
                        continue;
                    }
                    () = tokio::time::sleep_until(until) => {}
                    () = stop.cancelled() => {}
                }
                break;
            }
            if stop.is_cancelled() {
                break;
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// How long nothing of these lanes will be due that is there now, and `pause` at most. Asked when a pause has become long.
    async fn until_due(&self, lanes: &[Lane], pause: Duration) -> Duration {
        if pause <= self.options.poll * 2 {
            return pause;
        }
        match work_rows::next_due(&self.write.pool, lanes).await {
            Ok(Some(due)) => pause.min(due),
            Ok(None) => pause,
            Err(error) => {
                tracing::debug!(%error, "when work is due cannot be asked");
                pause
            }
        }
    }

    async fn lease(&self, lanes: &[Lane], limit: usize, at_work: usize) -> Result<Vec<Leased>, sqlx::Error> {
        let (pool, lease) = (&self.write.pool, self.options.lease);
        let rows = match (lanes, limit) {
            // All places are taken: one more is for an account that has nothing at work.
            ([Lane::Render], 0) if at_work <= self.options.renders_at_once => {
                work_rows::lease_renders(pool, 1, true, lease).await?
            }
            (_, 0) => return Ok(Vec::new()),
            ([Lane::Render], limit) => work_rows::lease_renders(pool, limit, false, lease).await?,
            (lanes, limit) => work_rows::lease(pool, lanes, limit, lease).await?,
        };
        let mut leased = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, payload, attempts): (String, serde_json::Value, i32) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if row.try_get(3)? {
                metrics::counter!("atelier_process_lease_takeovers_total", "lane" => lane_of(&row)?).increment(1);
                tracing::warn!(work = %id, attempts, "work whose lease ran out is taken over");
            }
            match serde_json::from_value::<Work>(payload) {
                Ok(work) => leased.push(Leased { id, work, attempts }),
                // Of another release: it must not hold up its neighbours.
                Err(_) => {
                    let unknown = "this release does not know this kind of work";
                    work_rows::leave(&self.write.pool, &id, attempts, LONGEST_PAUSE, unknown).await?;
                }
            }
        }
        Ok(leased)
    }

    /// Shows what waits, now and then.
    async fn count(&self, stop: &CancellationToken) {
        for lane in Lane::ALL.map(Lane::as_str) {
            metrics::counter!("atelier_process_lease_takeovers_total", "lane" => lane).increment(0);
        }
        while !stop.is_cancelled() {
            match Backlog::count(&self.write.pool).await {
                Ok(backlog) => backlog.publish(),
                Err(error) => tracing::debug!(%error, "the backlog could not be counted"),
            }
            tokio::select! {
                () = tokio::time::sleep(self.options.count) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

fn lane_of(row: &sqlx::postgres::PgRow) -> Result<&'static str, sqlx::Error> {
    let lane: String = row.try_get(4)?;
    Ok(Lane::ALL.map(Lane::as_str).into_iter().find(|known| *known == lane).unwrap_or("unknown"))
}

/// The id of a piece of work, as a UUID: its causation, and the same at every delivery.
fn work_uuid(id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes())
}

/// One attempt, for as long as it lasts, is wanted, and is this node's.
async fn attempt(write: &WriteSide, piece: &Leased, options: &DispatcherOptions) -> Result<(), WorkError> {
    let Leased { id, work, .. } = piece;
    let manager = id.split(':').next().unwrap_or_default().to_owned();
    let cause = work_uuid(id);
    let context =
        CommandContext { actor: Actor::Process(manager), correlation_id: cause, causation_id: cause, key: None };
    // Side by side: a look at the job must not wait for what the execution holds while that waits for the look.
    tokio::select! {
        done = Box::pin(execute::execute(write, &context, id, work.clone())) => done,
        ended = keep(write, piece, options) => Err(ended),
    }
}

/// Keeps a piece of work this node's, until it must not go on.
async fn keep(write: &WriteSide, piece: &Leased, options: &DispatcherOptions) -> WorkError {
    let Leased { id, work, attempts } = piece;
    // Whoever never answers must not keep a place here for ever.
    let patience = match work.lane() {
        Lane::Render => options.render_within,
        Lane::Export => options.export_within,
        Lane::Command | Lane::Timer | Lane::Message => options.quick_within,
    };
    let until = Instant::now() + patience;
    loop {
        tokio::time::sleep(options.lease.min(patience) / 3).await;
        if Instant::now() >= until || matches!(execute::is_wanted(write, work).await, Ok(false)) {
            return WorkError::Silent;
        }
        match work_rows::renew(&write.pool, id, *attempts, options.lease).await {
            Ok(true) => {}
            Ok(false) => return WorkError::Lost,
            Err(error) => tracing::warn!(work = %id, %error, "a lease could not be renewed"),
        }
    }
}

async fn carry_out(write: &WriteSide, piece: Leased, options: &DispatcherOptions) {
    let done = attempt(write, &piece, options).await;
    let Leased { id, work, attempts } = piece;
    let lane = work.lane().as_str();
    let recorded = match done {
        Ok(()) => {
            metrics::counter!("atelier_process_work_done_total", "lane" => lane).increment(1);
            work_rows::done(&write.pool, &id).await
        }
        Err(WorkError::Lost) => Ok(()),
        Err(WorkError::NotBefore(at)) => {
            // Due by the database's clock, and this node's is behind: what is missing by this one is waited for by that one.
            let missing = (at - write.now()).as_seconds_f64().max(SHORTEST_PAUSE);
            work_rows::too_early(&write.pool, &id, attempts, missing).await
        }
        Err(error) if error.is_final() => {
            metrics::counter!("atelier_process_work_dead_total", "lane" => lane).increment(1);
            tracing::error!(work = %id, attempts, %error, "work can never be done; its row is kept");
            work_rows::bury(&write.pool, &id, attempts, &error.to_string()).await
        }
        Err(error) => {
            let stuck = attempts >= STUCK_AFTER;
            tracing::warn!(work = %id, attempts, stuck, %error, "work will be tried again");
            metrics::counter!("atelier_process_work_retries_total", "lane" => lane).increment(1);
            // 1 s, 2 s, 4 s ... up to five minutes, by the database's clock.
            let pause = 2_f64.powi((attempts - 1).clamp(0, 9)).min(LONGEST_PAUSE);
            let pause = if stuck { STUCK_PAUSE } else { pause };
            work_rows::postpone(&write.pool, &id, attempts, pause, stuck, &error.to_string()).await
        }
    };
    if let Err(error) = recorded {
        // The lease runs out and the work is done again; doing it twice does nothing more.
        tracing::warn!(work = %id, %error, "the end of a piece of work could not be recorded");
    }
}
