//! Notices inside the application, as their account reads them. The rows are the work's (`commands/src/notices.rs`); they are read in
//! the snapshot of the screen they are on.

use atelier_domain::AccountId;
use atelier_domain::policy::account::{MAX_NOTICES, NOTICE_LIFE};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::cursor::Cursor;
use crate::snapshot::{Page, ReadError, Snapshot};

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeView {
    /// The notice.
    pub notice_id: Uuid,
    /// The stored word of what it is about.
    pub topic: String,
    /// The thing it is about.
    pub about: Option<Uuid>,
    /// When that happened.
    pub at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

fn view(row: &PgRow) -> Result<NoticeView, sqlx::Error> {
    Ok(NoticeView {
        notice_id: row.try_get(0)?,
        topic: row.try_get(1)?,
        about: row.try_get(2)?,
        at: row.try_get(3)?,
        read_at: row.try_get(4)?,
    })
}

/// A page of an account's notices, newest first.
///
/// # Errors
/// `BadCursor`; or when the database failed.
pub async fn page(
    snapshot: &mut Snapshot,
    account: AccountId,
    now: DateTime<Utc>,
    first: usize,
    after: Option<&str>,
) -> Result<Page<NoticeView>, ReadError> {
    let after = snapshot.cursor(after)?;
    let rows = sqlx::query(
        "select notice_id, topic, about, created_at, read_at from notices where account_id = $1 and created_at > $2 \
         and ($3::timestamptz is null or (created_at, notice_id) < ($3, $4)) \
         order by created_at desc, notice_id desc limit $5",
    )
    .bind(account.0)
    .bind(now - NOTICE_LIFE)
    .bind(after.map(|cursor| cursor.at))
    .bind(after.map(|cursor| cursor.id))
    .bind(i64::try_from(first).unwrap_or(i64::MAX - 1) + 1)
    .fetch_all(snapshot.connection())
    .await?;
    let notice = |row| view(row).map(|view| (Cursor { at: view.at, id: view.notice_id }, view));
    let notices = rows.iter().map(notice).collect::<Result<Vec<_>, sqlx::Error>>()?;
    Ok(snapshot.page(notices, first))
}

/// How many of them were not read yet.
///
/// # Errors
/// When the database failed.
pub async fn unread(snapshot: &mut Snapshot, account: AccountId, now: DateTime<Utc>) -> Result<i64, ReadError> {
    let count = "select count(*) from notices where account_id = $1 and read_at is null and created_at > $2";
    Ok(sqlx::query_scalar(count).bind(account.0).bind(now - NOTICE_LIFE).fetch_one(snapshot.connection()).await?)
}

/// Every notice of an account that somebody who read at this position may not have seen, oldest first; at most as many as are kept.
///
/// A notice is seen from one commit on, and its position is written by the next: the head of the log at that time. Whoever did not see
/// it read before the first, at a position that is therefore not behind the notice's. Some that were seen come again; their ids tell.
///
/// # Errors
/// When the database failed.
pub async fn since(
    snapshot: &mut Snapshot,
    account: AccountId,
    now: DateTime<Utc>,
    position: i64,
) -> Result<Vec<NoticeView>, ReadError> {
    let rows = sqlx::query(
        "select notice_id, topic, about, created_at, read_at from notices where account_id = $1 and created_at > $2 \
         and (position is null or position >= $3) order by created_at, notice_id limit $4",
    )
    .bind(account.0)
    .bind(now - NOTICE_LIFE)
    .bind(position)
    .bind(MAX_NOTICES)
    .fetch_all(snapshot.connection())
    .await?;
    Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
}

/// Which of these accounts may have notices that were not there when the head of the log was here, and where it is now: one statement
/// for all who wait on a node, in case a word of a new notice was lost.
///
/// # Errors
/// When the database failed.
pub async fn accounts_since(
    pool: &PgPool,
    accounts: &[AccountId],
    position: i64,
) -> Result<(Vec<AccountId>, i64), sqlx::Error> {
    let accounts: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
    let statement = "select coalesce(array_agg(distinct account_id), '{}'), \
        (select coalesce(max(position), 0) from events) \
        from notices where account_id = any($1) and (position is null or position >= $2)";
    let (found, head): (Vec<Uuid>, i64) =
        sqlx::query_as(statement).bind(accounts).bind(position).fetch_one(pool).await?;
    Ok((found.into_iter().map(AccountId).collect(), head))
}
