//! What is in quarantine, for whoever operates a studio.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// A subject that a follower leaves out.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Quarantined {
    /// The follower.
    pub follower: String,
    /// Its version.
    pub version: i32,
    /// The account, or `stream:<type>:<id>` where none is known.
    pub subject: String,
    /// The account.
    pub account_id: Option<Uuid>,
    /// `undecodable` or `unfoldable`.
    pub kind: String,
    /// The event that was parked, or at which the last retry failed.
    pub position: i64,
    /// Why; structure only.
    pub error: String,
    /// Since when the subject is left out.
    pub since: DateTime<Utc>,
}

/// What is left out where it serves, oldest first; at most so many of each follower.
///
/// # Errors
/// When the database failed.
pub async fn quarantined(pool: &PgPool, each: i64) -> Result<Vec<Quarantined>, sqlx::Error> {
    let list = "select follower, version, subject, account_id, kind, position, error, since from \
                (select q.*, row_number() over (partition by q.follower, q.version order by q.since, q.subject) as n \
                from quarantine q join checkpoints c on (c.name, c.version, c.place) = (q.follower, q.version, q.place)) q \
                where n <= $1 order by follower, version, n";
    sqlx::query_as(list).bind(each).fetch_all(pool).await
}
