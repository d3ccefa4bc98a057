//! The dispatcher: leases work that is due, carries it out, and takes it off the list; at least once, on any number of nodes.

use std::time::Duration;

use atelier_domain::Actor;
use sqlx::Row;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Lane, Work, execute};
use crate::command_path::CommandContext;
use crate::write_side::WriteSide;

/// The dispatcher's bounds.
#[derive(Debug, Clone)]
pub struct DispatcherOptions {
    /// How many quick pieces of work run at once.
    pub quick_at_once: usize,
    /// How many renders run at once.
    pub renders_at_once: usize,
    /// How long a node may take for one piece before another may take it over.
    pub lease: Duration,
    /// How often the list is looked at without being woken.
    pub poll: Duration,
}

impl Default for DispatcherOptions {
    fn default() -> Self {
        Self { quick_at_once: 8, renders_at_once: 2, lease: Duration::from_secs(120), poll: Duration::from_millis(500) }
    }
}

/// Carries out what process managers ask for.
pub struct Dispatcher {
    write: WriteSide,
    options: DispatcherOptions,
}

struct Leased {
    id: String,
    work: Work,
    attempts: i32,
}

impl Dispatcher {
    /// A dispatcher over the write side.
    #[must_use]
    pub const fn new(write: WriteSide, options: DispatcherOptions) -> Self {
        Self { write, options }
    }

    /// Works until stopped; what it has begun it finishes. `wake` says that new work may have arrived.
    pub async fn run(&self, wake: &Notify, stop: &CancellationToken) {
        let quick = [Lane::Command, Lane::Timer, Lane::Message];
        tokio::join!(
            self.run_lanes(&quick, self.options.quick_at_once, wake, stop),
            self.run_lanes(&[Lane::Render], self.options.renders_at_once, wake, stop),
        );
    }

    async fn run_lanes(&self, lanes: &[Lane], at_once: usize, wake: &Notify, stop: &CancellationToken) {
        let mut running = JoinSet::new();
        loop {
            // Listened for before looking, so that work arriving in between is not missed.
            let woken = wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let free = at_once - running.len();
            let leased = match self.lease(lanes, free).await {
                Ok(leased) => leased,
                Err(error) => {
                    tracing::warn!(%error, "due work could not be leased");
                    Vec::new()
                }
            };
            let more = !leased.is_empty();
            for piece in leased {
                let write = self.write.clone();
                running.spawn(async move { carry_out(&write, piece).await });
            }
            if stop.is_cancelled() {
                break;
            }
            if more && running.len() < at_once {
                continue;
            }
            tokio::select! {
                Some(_) = running.join_next(), if !running.is_empty() => {}
                () = woken => {}
                () = tokio::time::sleep(self.options.poll) => {}
                () = stop.cancelled() => break,
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn lease(&self, lanes: &[Lane], limit: usize) -> Result<Vec<Leased>, sqlx::Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let lanes: Vec<&str> = lanes.iter().map(|lane| lane.as_str()).collect();
        let rows = sqlx::query(
            "update process_work set leased_until = now() + make_interval(secs => $3), attempts = attempts + 1 where id in (\
                 select id from process_work where lane = any($1) and due_at <= now() and (leased_until is null or leased_until < now()) \
                 order by due_at limit $2 for update skip locked) \
             returning id, payload, attempts",
        )
        .bind(&lanes)
        .bind(i64::try_from(limit).unwrap_or(1))
        .bind(self.options.lease.as_secs_f64())
        .fetch_all(&self.write.pool)
        .await?;
        let mut leased = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, payload, attempts): (String, serde_json::Value, i32) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match serde_json::from_value(payload) {
                Ok(work) => leased.push(Leased { id, work, attempts }),
                // Of another release: it must not hold up its neighbours.
                Err(_) => postpone(&self.write, &id, 300.0, "this release does not know this kind of work").await?,
            }
        }
        Ok(leased)
    }
}

async fn postpone(write: &WriteSide, id: &str, seconds: f64, error: &str) -> Result<(), sqlx::Error> {
    metrics::counter!("atelier_process_work_retries_total").increment(1);
    sqlx::query(
        "update process_work set leased_until = null, due_at = now() + make_interval(secs => $2), last_error = $3 where id = $1",
    )
    .bind(id)
    .bind(seconds)
    .bind(error)
    .execute(&write.pool)
    .await
    .map(drop)
}

/// The id of a piece of work, as a UUID: its causation, and the same at every delivery.
fn work_uuid(id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes())
}

async fn carry_out(write: &WriteSide, piece: Leased) {
    let Leased { id, work, attempts } = piece;
    let manager = id.split(':').next().unwrap_or_default().to_owned();
    let cause = work_uuid(&id);
    let context = CommandContext { actor: Actor::Process(manager), correlation_id: cause, causation_id: cause };
    let lane = work.lane().as_str();
    let done = execute::execute(write, &context, &id, work).await;
    let recorded = match done {
        Ok(()) => {
            metrics::counter!("atelier_process_work_done_total", "lane" => lane).increment(1);
            sqlx::query("delete from process_work where id = $1").bind(&id).execute(&write.pool).await.map(drop)
        }
        Err(error) => {
            tracing::warn!(work = %id, attempts, %error, "work will be tried again");
            // 1 s, 2 s, 4 s ... up to five minutes, by the database's clock.
            let pause = 2_f64.powi((attempts - 1).clamp(0, 9)).min(300.0);
            postpone(write, &id, pause, &error.to_string()).await
        }
    };
    if let Err(error) = recorded {
        // The lease runs out and the work is done again; doing it twice does nothing more.
        tracing::warn!(work = %id, %error, "the end of a piece of work could not be recorded");
    }
}
