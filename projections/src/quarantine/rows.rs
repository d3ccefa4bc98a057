//! The rows of `quarantine`. Whoever writes one holds the row that says how far the follower is.

use std::collections::BTreeSet;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::Subject;
use crate::batch::Logged;
use crate::place::Place;
use crate::runner::Projection;

/// What the state of a follower that is not stopped is, in SQL with `checkpoints` as `c`.
pub(crate) const STATE: &str = "case when exists (select from quarantine q where q.follower = c.name and q.version = c.version and q.place = c.place) \
                                then 'partial' else 'running' end";
/// So many subjects in one follower are an alarm.
const MANY: i64 = 10;
/// The most accounts with undecodable events within a minute that are quarantined; at the next one the follower stops.
const A_MINUTE: i64 = 3;
/// The most characters of an error that are kept.
const ERROR: usize = 300;

/// A follower's rows in one of its places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) follower: &'static str,
    pub(crate) version: i32,
    pub(crate) place: Place,
}

impl Slot {
    pub(crate) fn of(projection: &dyn Projection, place: Place) -> Self {
        Self { follower: projection.name(), version: projection.version(), place }
    }
}

/// Why an event was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No live release decodes it.
    Undecodable,
    /// The fold fails of it.
    Unfoldable,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Unfoldable => "unfoldable",
        }
    }
}

/// An event that costs its subject a follower.
#[derive(Debug)]
pub(crate) struct Parked<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) event: &'a Logged,
    pub(crate) kind: Kind,
    pub(crate) error: &'a str,
}

impl Parked<'_> {
    /// The error as it is kept.
    pub(crate) fn error(&self) -> String {
        self.error.chars().take(ERROR).collect()
    }
}

/// Parks an event and with it its subject, and says so. A subject that was parked before (its erasure cannot be folded) stays, with this
/// event.
///
/// # Errors
/// When the database failed.
pub(crate) async fn park(connection: &mut PgConnection, slot: Slot, parked: &Parked<'_>) -> Result<(), sqlx::Error> {
    let insert = "insert into quarantine (follower, version, place, subject, account_id, kind, position, event_id, error, since, folded_to) \
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), $7 - 1) \
                  on conflict (follower, version, place, subject) do update set kind = excluded.kind, position = excluded.position, \
                  event_id = excluded.event_id, error = excluded.error";
    sqlx::query(insert)
        .bind(slot.follower)
        .bind(slot.version)
        .bind(slot.place.as_str())
        .bind(parked.subject.text())
        .bind(parked.subject.account.map(|account| account.0))
        .bind(parked.kind.as_str())
        .bind(parked.event.position())
        .bind(parked.event.event_id())
        .bind(parked.error())
        .execute(&mut *connection)
        .await?;
    let count = "select count(*) from quarantine where follower = $1 and version = $2 and place = $3";
    let count: i64 = sqlx::query_scalar(count)
        .bind(slot.follower)
        .bind(slot.version)
        .bind(slot.place.as_str())
        .fetch_one(connection)
        .await?;
    let (projection, position, error) = (slot.follower, parked.event.position(), parked.error);
    tracing::error!(projection, position, error, "an event cannot be folded: its account is in quarantine here");
    metrics::counter!("atelier_quarantine_parked_total", "projection" => projection).increment(1);
    if count >= MANY {
        tracing::error!(
            projection,
            quarantined = count,
            "MANY accounts are in quarantine: see atelier projections list"
        );
        metrics::counter!("atelier_quarantine_alarms_total", "projection" => projection).increment(1);
    }
    Ok(())
}

/// Which of these subjects, as they are stored, the follower leaves out.
///
/// # Errors
/// When the database failed.
pub(crate) async fn among(
    connection: &mut PgConnection,
    slot: Slot,
    subjects: &[Subject],
) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: BTreeSet<String> = subjects.iter().flat_map(Subject::names).collect();
    let names: Vec<String> = names.into_iter().collect();
    let found =
        "select subject from quarantine where follower = $1 and version = $2 and place = $3 and subject = any($4)";
    let found: Vec<String> = sqlx::query_scalar(found)
        .bind(slot.follower)
        .bind(slot.version)
        .bind(slot.place.as_str())
        .bind(names)
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().collect())
}

/// Whether another subject with an undecodable event would be one too many. Counted over all followers, which meet the same events, and
/// from when each subject was first parked for it: a new version that folds an old log stops at none that is known.
///
/// # Errors
/// When the database failed.
pub(super) async fn flooded(connection: &mut PgConnection, subject: &Subject) -> Result<bool, sqlx::Error> {
    let recent = "select not exists (select from quarantine where kind = 'undecodable' and subject = $1) and \
                  (select count(*) from (select from quarantine where kind = 'undecodable' group by subject \
                  having min(since) > clock_timestamp() - interval '1 minute') s) >= $2";
    sqlx::query_scalar(recent).bind(subject.text()).bind(A_MINUTE).fetch_one(connection).await
}

/// Ends the quarantine of a subject. `attempt`: only if it is still that retry's. Says whether there was one.
///
/// # Errors
/// When the database failed.
pub(super) async fn lift(
    connection: &mut PgConnection,
    slot: Slot,
    subject: &str,
    attempt: Option<i64>,
) -> Result<bool, sqlx::Error> {
    let lift = "delete from quarantine where follower = $1 and version = $2 and place = $3 and subject = $4 \
                and ($5::bigint is null or attempt = $5)";
    let lifted = sqlx::query(lift)
        .bind(slot.follower)
        .bind(slot.version)
        .bind(slot.place.as_str())
        .bind(subject)
        .bind(attempt)
        .execute(connection)
        .await?;
    Ok(lifted.rows_affected() == 1)
}

/// Removes every row of a place that does not serve, or does not any more.
///
/// # Errors
/// When the database failed.
pub(crate) async fn clear(connection: &mut PgConnection, slot: Slot) -> Result<(), sqlx::Error> {
    let clear = "delete from quarantine where follower = $1 and version = $2 and place = $3";
    let clear = sqlx::query(clear).bind(slot.follower).bind(slot.version).bind(slot.place.as_str());
    clear.execute(connection).await.map(drop)
}

/// How many subjects this place leaves out, and how many of them the other place does not.
///
/// # Errors
/// When the database failed.
pub(crate) async fn newly_left_out(connection: &mut PgConnection, slot: Slot) -> Result<(i64, i64), sqlx::Error> {
    let count = "select count(*), count(*) filter (where not exists (select from quarantine o where (o.follower, o.version, o.subject) = \
                 (n.follower, n.version, n.subject) and o.place <> n.place)) \
                 from quarantine n where follower = $1 and version = $2 and place = $3";
    sqlx::query_as(count).bind(slot.follower).bind(slot.version).bind(slot.place.as_str()).fetch_one(connection).await
}

/// The subjects that a follower leaves out in a place, oldest first.
///
/// # Errors
/// When the database failed.
pub(super) async fn all(pool: &PgPool, slot: Slot) -> Result<Vec<(String, Option<Uuid>)>, sqlx::Error> {
    let all = "select subject, account_id from quarantine where follower = $1 and version = $2 and place = $3 order by since, subject";
    sqlx::query_as(all).bind(slot.follower).bind(slot.version).bind(slot.place.as_str()).fetch_all(pool).await
}
