//! Work that does not end by itself, for whoever operates a studio: listed, tried again, or given up for a reason that is kept.
//!
//! Beside running nodes: a piece that is being tried right now is left alone, and the number of attempts stays the fence for who had it
//! before.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Where nodes are told that work was put back on the list.
pub const RETRIED_CHANNEL: &str = "atelier_work";

/// The most characters of a reason.
pub const MAX_REASON: usize = 500;

/// A piece of work that is dead or stuck.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Troubled {
    /// The row's id: who asked for it, at which event.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// `dead` or `stuck`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// What it failed of the last time; structure only.
    pub last_error: Option<String>,
}

impl Troubled {
    /// When it was asked for: the instant in the id of the event that did; `None` for work that no event asked for.
    #[must_use]
    pub fn asked_at(&self) -> Option<DateTime<Utc>> {
        let event: Uuid = self.id.split(':').nth(1)?.parse().ok()?;
        let (seconds, nanos) = event.get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    }
}

/// A piece of work that was given up.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Dropped {
    /// The row's id.
    pub id: String,
    /// What it was.
    pub kind: String,
    /// What it had failed of.
    pub last_error: Option<String>,
    /// Why it was given up.
    pub reason: String,
    /// When.
    pub dropped_at: DateTime<Utc>,
}

/// Which dead and stuck work is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The piece with this id.
    Id(&'a str),
    /// Every piece of this kind.
    Kind(&'a str),
}

impl<'a> Which<'a> {
    /// The id and the kind, of which one is given.
    const fn parts(self) -> (Option<&'a str>, Option<&'a str>) {
        match self {
            Self::Id(id) => (Some(id), None),
            Self::Kind(kind) => (None, Some(kind)),
        }
    }
}

/// Dead and stuck work, dead first, at most so many.
///
/// # Errors
/// When the database failed.
pub async fn troubled(pool: &PgPool, at_most: i64) -> Result<Vec<Troubled>, sqlx::Error> {
    let list = "select id, coalesce(payload ->> 'kind', '?') as kind, state, attempts, last_error from process_work \
                where state <> 'waiting' order by state, id limit $1";
    sqlx::query_as(list).bind(at_most).fetch_all(pool).await
}

/// Work that was given up, the latest first, at most so many.
///
/// # Errors
/// When the database failed.
pub async fn dropped(pool: &PgPool, at_most: i64) -> Result<Vec<Dropped>, sqlx::Error> {
    let list = "select id, coalesce(payload ->> 'kind', '?') as kind, last_error, reason, dropped_at from dropped_work \
                order by dropped_at desc, id limit $1";
    sqlx::query_as(list).bind(at_most).fetch_all(pool).await
}

/// Puts dead or stuck work back on the list, due at once. Its attempts go on being counted, because their number is the fence. Says which.
///
/// # Errors
/// When the database failed.
pub async fn retry_work(pool: &PgPool, which: Which<'_>) -> Result<Vec<String>, sqlx::Error> {
    let (id, kind) = which.parts();
    let retry = "update process_work set state = 'waiting', due_at = now(), leased_until = null \
                 where state <> 'waiting' and (leased_until is null or leased_until < now()) \
                 and ($1::text is null or id = $1) and ($2::text is null or payload ->> 'kind' = $2) returning id";
    let retried: Vec<String> = sqlx::query_scalar(retry).bind(id).bind(kind).fetch_all(pool).await?;
    if !retried.is_empty() {
        // An idle node looks seldom; if this does not arrive, it looks by itself.
        sqlx::query("select pg_notify($1, '')").bind(RETRIED_CHANNEL).execute(pool).await?;
    }
    Ok(retried)
}

/// Gives up one dead or stuck piece, and keeps it with the reason. Says whether there was one.
///
/// # Errors
/// When the database failed.
pub async fn drop_work(pool: &PgPool, id: &str, reason: &str) -> Result<bool, sqlx::Error> {
    let drop = "with gone as (delete from process_work where id = $1 and state <> 'waiting' \
                and (leased_until is null or leased_until < now()) returning id, lane, payload, attempts, last_error) \
                insert into dropped_work (id, lane, payload, attempts, last_error, reason, dropped_at) \
                select id, lane, payload, attempts, last_error, $2, clock_timestamp() from gone";
    Ok(sqlx::query(drop).bind(id).bind(reason).execute(pool).await?.rows_affected() == 1)
}
