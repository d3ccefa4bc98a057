//! Looking after sessions: when they were used, which are past their end, which await the reconciler (sec.S6).

use atelier_domain::{AccountId, SessionId};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;

/// Removes up to `limit` sessions whose end or idle limit has passed, and says how many; their tokens were dead already.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.sessions WHERE session_id IN
         (SELECT session_id FROM credentials.sessions WHERE state = 'active'
            AND (expires_at < $1 OR last_active_at + make_interval(secs => idle_seconds) < $1) LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}

/// Notes when sessions were last used, in one statement for many; never moves one back.
///
/// # Errors
/// When the database failed.
pub async fn touch(pool: &PgPool, used: &[(SessionId, DateTime<Utc>)]) -> Result<(), RowError> {
    let (sessions, instants): (Vec<Uuid>, Vec<DateTime<Utc>>) = used.iter().map(|(id, at)| (id.0, *at)).unzip();
    sqlx::query(
        "UPDATE credentials.sessions s SET last_active_at = used.at
         FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
         WHERE s.session_id = used.id AND s.last_active_at < used.at",
    )
    .bind(sessions)
    .bind(instants)
    .execute(pool)
    .await?;
    Ok(())
}

/// For the reconciler: up to `limit` sessions pending since before an instant, oldest first. Their event is in the log
/// (then activate) or is not (then remove).
///
/// # Errors
/// When the database failed.
pub async fn pending_before(
    pool: &PgPool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(SessionId, AccountId)>, RowError> {
    to_reconcile(pool, "pending", instant, limit).await
}

/// For the reconciler: up to `limit` sessions made before an instant and revoked since, oldest first. Append the event
/// of their end if it is missing, then remove them.
///
/// # Errors
/// When the database failed.
pub async fn revoked_before(
    pool: &PgPool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(SessionId, AccountId)>, RowError> {
    to_reconcile(pool, "revoked", instant, limit).await
}

async fn to_reconcile(
    pool: &PgPool,
    state: &str,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(SessionId, AccountId)>, RowError> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT session_id, account_id FROM credentials.sessions
         WHERE state = $1 AND state <> 'active' AND created_at < $2 ORDER BY created_at, session_id LIMIT $3",
    )
    .bind(state)
    .bind(instant)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(session, account)| (SessionId(session), AccountId(account))).collect())
}

/// Removes a session that is not active. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove(pool: &PgPool, session: SessionId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.sessions WHERE session_id = $1 AND state <> 'active'")
        .bind(session.0)
        .execute(pool)
        .await?;
    Ok(())
}
