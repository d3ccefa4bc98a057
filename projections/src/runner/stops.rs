//! Stops: a projection that cannot go on stands still in front of an event, says so, and skips nothing (DESIGN 5).
//!
//! It stops where its own SQL is wrong, where only a node of a newer release decodes the event, and where so many accounts have events
//! that nobody decodes that something else is wrong. An event that merely cannot be folded costs its account a quarantine.

use atelier_log::Expected;

use super::{Projection, Runner};
use crate::batch::Logged;
use crate::fault::{FLOOD, UNDECODABLE, was_of_the_events};
use crate::forms;
use crate::quarantine::STATE;

impl Runner {
    /// Ends a stop that can end by itself: at an event that a node of this release decodes, or no live node does, so that this one
    /// quarantines it; and at what a release from before the quarantine stopped at and this one quarantines. Any other stop waits for an
    /// operator. Says whether it ended.
    pub(super) async fn try_stopped(&self, projection: &dyn Projection, position: i64) -> Result<bool, sqlx::Error> {
        let why =
            "select error from checkpoints where name = $1 and version = $2 and state = 'stopped' and position = $3";
        let why: Option<Option<String>> = sqlx::query_scalar(why)
            .bind(projection.name())
            .bind(projection.version())
            .bind(position)
            .fetch_optional(&self.pool)
            .await?;
        let Some(error) = why.flatten() else { return Ok(false) };
        let Some(next) = self.feed.after(position, 1).await?.in_order().into_iter().next() else { return Ok(false) };
        let ends = match &next {
            Logged::Event(_) => error.starts_with(UNDECODABLE) || error.starts_with(FLOOD) || was_of_the_events(&error),
            Logged::Undecodable(event) if error.starts_with(UNDECODABLE) => {
                let mut connection = self.pool.acquire().await?;
                !forms::another_decodes(&mut connection, self.node().await?, event).await?
            }
            Logged::Undecodable(_) => false,
        };
        if !ends {
            return Ok(false);
        }
        let resume = format!(
            "update checkpoints c set state = {STATE}, error = null, failed_position = null \
             where name = $1 and version = $2 and position = $3 and state = 'stopped' and error = $4"
        );
        let resumed = sqlx::query(&resume)
            .bind(projection.name())
            .bind(projection.version())
            .bind(position)
            .bind(error)
            .execute(&self.pool)
            .await?;
        Ok(resumed.rows_affected() == 1)
    }

    /// Stops a projection in front of an event, for every node, until somebody acts or the stop ends by itself.
    pub(super) async fn stop_projection(
        &self,
        projection: &dyn Projection,
        position: i64,
        log: Option<Expected>,
        error: &str,
    ) {
        let stopped = sqlx::query(
            "update checkpoints set state = 'stopped', error = $3, failed_position = $4 \
             where name = $1 and version = $2 and state <> 'stopped' and position < $4 and log_branch($6, $7) = $5",
        )
        .bind(projection.name())
        .bind(projection.version())
        .bind(error)
        .bind(position)
        .bind(log.map(|log| log.branch.0))
        .bind(log.and_then(|log| log.position))
        .bind(log.and_then(|log| log.event))
        .execute(&self.pool)
        .await;
        match stopped {
            Ok(stopped) if stopped.rows_affected() == 1 => {
                tracing::error!(projection = projection.name(), position, %error, "a projection stopped");
                metrics::counter!("atelier_projection_stops_total", "projection" => projection.name()).increment(1);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a stopped projection could not be recorded; it will stop again"),
        }
    }
}
