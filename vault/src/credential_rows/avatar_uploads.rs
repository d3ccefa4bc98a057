//! Avatars whose objects are being stored: a row is there before the first object and goes after the event, so that objects which no
//! event names are found by a row, not by listing the whole store (DESIGN 7).

use atelier_domain::{AccountId, AvatarId};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;

/// Notes that objects of an avatar are about to be stored.
///
/// # Errors
/// When the database failed; then nothing may be stored.
pub async fn begin(pool: &PgPool, avatar: AvatarId, account: AccountId, now: DateTime<Utc>) -> Result<(), RowError> {
    sqlx::query("INSERT INTO credentials.avatar_uploads (avatar_id, account_id, begun_at) VALUES ($1, $2, $3)")
        .bind(avatar.0)
        .bind(account.0)
        .bind(now)
        .execute(pool)
        .await?;
    Ok(())
}

/// An event names the objects, or they are gone. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn end(pool: &PgPool, avatar: AvatarId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.avatar_uploads WHERE avatar_id = $1").bind(avatar.0).execute(pool).await?;
    Ok(())
}

/// Up to `limit` avatars whose storing began before an instant, oldest first.
///
/// # Errors
/// When the database failed.
pub async fn begun_before(
    pool: &PgPool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(AvatarId, AccountId)>, RowError> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT avatar_id, account_id FROM credentials.avatar_uploads WHERE begun_at < $1 ORDER BY begun_at, avatar_id LIMIT $2",
    )
    .bind(instant)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(avatar, account)| (AvatarId(avatar), AccountId(account))).collect())
}
