//! Stops: a projection that cannot apply an event stands still in front of it, says so, and skips nothing (DESIGN 5).

use crate::feed::{Poison, UNDECODABLE};
use crate::runner::{Projection, Runner};

impl Runner {
    /// A stop at an event that another release could not decode ends when a node comes that can: an old node must not hold a new
    /// one up. Any other stop waits for an operator. Says whether it ended.
    pub(crate) async fn try_stopped(&self, projection: &dyn Projection, position: i64) -> Result<bool, sqlx::Error> {
        let Some(next) = self.feed.after(position, 1).await?.events.first().map(|event| event.position) else {
            return Ok(false);
        };
        let resumed = sqlx::query(
            "update checkpoints set state = 'running', error = null, failed_position = null \
             where name = $1 and version = $2 and position = $3 and state = 'stopped' and failed_position = $4 and error like $5",
        )
        .bind(projection.name())
        .bind(projection.version())
        .bind(position)
        .bind(next)
        .bind(format!("{UNDECODABLE}%"))
        .execute(&self.pool)
        .await?;
        Ok(resumed.rows_affected() == 1)
    }

    /// Stops a projection in front of what it cannot apply, for every node, until somebody acts.
    pub(crate) async fn stop_projection(&self, projection: &dyn Projection, poison: &Poison) {
        let stopped = sqlx::query(
            "update checkpoints set state = 'stopped', error = $3, failed_position = $4 \
             where name = $1 and version = $2 and state = 'running' and position < $4",
        )
        .bind(projection.name())
        .bind(projection.version())
        .bind(&poison.error)
        .bind(poison.position)
        .execute(&self.pool)
        .await;
        match stopped {
            Ok(stopped) if stopped.rows_affected() == 1 => {
                tracing::error!(projection = projection.name(), position = poison.position, error = %poison.error, "a projection stopped");
                metrics::counter!("atelier_projection_stops_total", "projection" => projection.name()).increment(1);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a stopped projection could not be recorded; it will stop again"),
        }
    }

    /// Lets a stopped projection try again.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn retry(&self, name: &str) -> Result<bool, sqlx::Error> {
        let updated = sqlx::query(
            "update checkpoints set state = 'running', error = null, failed_position = null where name = $1 and state = 'stopped'",
        )
        .bind(name)
        .execute(&self.pool)
        .await?;
        Ok(updated.rows_affected() > 0)
    }
}

/// What stops at a position: the code and the constraint, never the message, which may quote a row.
pub(crate) fn poison(position: i64, error: &sqlx::Error) -> Poison {
    let error = error.as_database_error().map_or_else(
        || "the row could not be converted".to_owned(),
        |e| format!("SQLSTATE {} {}", e.code().unwrap_or_default(), e.constraint().unwrap_or_default()),
    );
    Poison { position, error }
}

/// Whether the error is of the events or of the fold, and will come again: bad data, a broken constraint, a missing column.
pub(crate) fn is_poison(error: &sqlx::Error) -> bool {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) => ["22", "23", "42"].iter().any(|class| code.starts_with(class)),
        None => matches!(
            error,
            sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::ColumnNotFound(_)
        ),
    }
}
