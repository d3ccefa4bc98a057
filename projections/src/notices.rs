//! Notices inside the application, as their account reads them. The rows are the work's (`commands/src/notices.rs`); they are read in
//! the snapshot of the screen they are on.

use atelier_domain::AccountId;
use atelier_domain::policy::account::NOTICE_LIFE;
use chrono::{DateTime, Utc};
use sqlx::Row;
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
    let notice = |row: &sqlx::postgres::PgRow| {
        let view = NoticeView {
            notice_id: row.try_get(0)?,
            topic: row.try_get(1)?,
            about: row.try_get(2)?,
            at: row.try_get(3)?,
            read_at: row.try_get(4)?,
        };
        Ok((Cursor { at: view.at, id: view.notice_id }, view))
    };
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
