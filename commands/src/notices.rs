//! The rows of notices inside the application: what, about which thing, when, and whether it was read. Nothing personal.
//!
//! They are rows of work and not a projection, because they are no function of the log: a read mark is no event (a click is telemetry,
//! DESIGN 4), and what a bound has pushed out must stay out. The work that asks for them comes from events, exactly once.

use atelier_domain::AccountId;
use atelier_domain::policy::account::{MAX_NOTICES, NOTICE_LIFE};
use atelier_vault::credential_rows::RowError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::notice_topic::NoticeTopic;

/// Where nodes are told whose notices to look at. The word may be lost: they look now and then anyway.
pub const POSTED_CHANNEL: &str = "atelier_notices";

/// A notice to be shown to its account.
#[derive(Debug, Clone, Copy)]
pub struct NewNotice {
    /// The same at every delivery of the same notice.
    pub notice_id: Uuid,
    /// Whose.
    pub account: AccountId,
    /// What about.
    pub topic: NoticeTopic,
    /// The thing it is about: a generation, a key.
    pub about: Option<Uuid>,
    /// When that happened.
    pub at: DateTime<Utc>,
}

/// Shows a notice; again is harmless. A death between the statements leaves one too many until the next, a notice without a position,
/// which whoever resumes takes for new, or subscribers who hear of it some seconds later; the work is done again in any case.
///
/// # Errors
/// When the database failed.
pub async fn post(pool: &PgPool, notice: &NewNotice) -> Result<(), RowError> {
    sqlx::query(
        "insert into notices (notice_id, account_id, topic, about, created_at) values ($1, $2, $3, $4, $5) \
         on conflict (notice_id) do nothing",
    )
    .bind(notice.notice_id)
    .bind(notice.account.0)
    .bind(notice.topic.as_str())
    .bind(notice.about)
    .bind(notice.at)
    .execute(pool)
    .await?;
    sqlx::query(
        "delete from notices where notice_id in (select notice_id from notices where account_id = $1 \
         order by created_at desc, notice_id desc offset $2)",
    )
    .bind(notice.account.0)
    .bind(MAX_NOTICES)
    .execute(pool)
    .await?;
    // In a statement of its own, once the notice can be seen: see `migrations/0016_sockets.sql`.
    let place = "update notices set position = (select coalesce(max(position), 0) from events) where account_id = $1 and position is null";
    sqlx::query(place).bind(notice.account.0).execute(pool).await?;
    // Alone as well: a commit that tells holds up the log's until it is on the disk, and this one writes nothing.
    let tell = sqlx::query("select pg_notify($1, $2)").bind(POSTED_CHANNEL).bind(notice.account.to_string());
    tell.execute(pool).await?;
    Ok(())
}

/// A notice as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KeptNotice {
    /// The notice.
    pub notice_id: Uuid,
    /// The stored word of what it is about.
    pub topic: String,
    /// The thing it is about.
    pub about: Option<Uuid>,
    /// When that happened.
    #[sqlx(rename = "created_at")]
    pub at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

/// The notices of an account, newest first, as many as it keeps (U25).
///
/// # Errors
/// When the database failed.
pub async fn of(pool: &PgPool, account: AccountId) -> Result<Vec<KeptNotice>, RowError> {
    let statement = "select notice_id, topic, about, created_at, read_at from notices where account_id = $1 \
         order by created_at desc, notice_id desc limit $2";
    Ok(sqlx::query_as(statement).bind(account.0).bind(MAX_NOTICES).fetch_all(pool).await?)
}

/// Marks notices of an account as read: these, or all of them. What is read stays read since then.
///
/// # Errors
/// When the database failed.
pub async fn mark_read(
    pool: &PgPool,
    account: AccountId,
    which: Option<&[Uuid]>,
    now: DateTime<Utc>,
) -> Result<u64, RowError> {
    let marked = sqlx::query(
        "update notices set read_at = $3 where account_id = $1 and read_at is null \
         and ($2::uuid[] is null or notice_id = any($2))",
    )
    .bind(account.0)
    .bind(which)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(marked.rows_affected())
}

/// Removes up to `limit` notices whose time is over, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_old(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "delete from notices where notice_id in \
         (select notice_id from notices where created_at < $1 limit $2)";
    Ok(sqlx::query(statement).bind(now - NOTICE_LIFE).bind(limit).execute(pool).await?.rows_affected())
}

/// Deletes every notice of an account, at erasure (REQUIREMENTS 4.2.10). Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn delete_account(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("delete from notices where account_id = $1").bind(account.0).execute(pool).await?;
    Ok(())
}
