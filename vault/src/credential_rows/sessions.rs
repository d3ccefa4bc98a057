//! Sessions: the digest of each token and whether it still counts (sec.S6).

use atelier_domain::{AccountId, SessionId};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
use crate::SecretDigest;

/// A session about to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// Its id.
    pub session: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// What is stored of its token.
    pub digest: SecretDigest,
    /// When it begins, by the command's clock.
    pub created_at: DateTime<Utc>,
    /// The first instant at which it no longer counts.
    pub expires_at: DateTime<Utc>,
}

/// Inserts a session that does not count yet.
///
/// # Errors
/// When the id or digest is there already, or the database failed.
pub async fn insert_pending(pool: &PgPool, new: &NewSession) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.sessions
           (session_id, account_id, digest, state, created_at, expires_at, last_active_at)
         VALUES ($1, $2, $3, 'pending', $4, $5, $4)",
    )
    .bind(new.session.0)
    .bind(new.account.0)
    .bind(&new.digest.as_bytes()[..])
    .bind(new.created_at)
    .bind(new.expires_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Makes a pending session count, after its event is in the log. Says whether it counts now: one that was revoked or
/// removed meanwhile does not, and the sign-in has failed.
///
/// # Errors
/// When the database failed.
pub async fn activate(pool: &PgPool, session: SessionId) -> Result<bool, RowError> {
    let updated = sqlx::query(
        "UPDATE credentials.sessions SET state = 'active' WHERE session_id = $1 AND state IN ('pending', 'active')",
    )
    .bind(session.0)
    .execute(pool)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Ends a session for the very next request, before its event is appended; only `account`'s own. Says whether there is
/// such a session. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn revoke(pool: &PgPool, account: AccountId, session: SessionId) -> Result<bool, RowError> {
    let updated =
        sqlx::query("UPDATE credentials.sessions SET state = 'revoked' WHERE session_id = $1 AND account_id = $2")
            .bind(session.0)
            .bind(account.0)
            .execute(pool)
            .await?;
    Ok(updated.rows_affected() == 1)
}

/// Ends every session of an account, and tells which ones this ended.
///
/// # Errors
/// When the database failed.
pub async fn revoke_all(pool: &PgPool, account: AccountId) -> Result<Vec<SessionId>, RowError> {
    let ended: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE credentials.sessions SET state = 'revoked' WHERE account_id = $1 AND state <> 'revoked'
         RETURNING session_id",
    )
    .bind(account.0)
    .fetch_all(pool)
    .await?;
    Ok(ended.into_iter().map(SessionId).collect())
}

/// Whose session a presented token is: only an active, unexpired one whose digest is this.
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn authenticate(
    pool: &PgPool,
    session: SessionId,
    digest: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<Option<(SessionId, AccountId)>, RowError> {
    let row: Option<(Uuid, Vec<u8>)> = sqlx::query_as(
        "SELECT account_id, digest FROM credentials.sessions
         WHERE session_id = $1 AND state = 'active' AND expires_at > $2",
    )
    .bind(session.0)
    .bind(now)
    .fetch_optional(pool)
    .await?;
    Ok(row.filter(|(_, stored)| digest.matches(stored)).map(|(account, _)| (session, AccountId(account))))
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
