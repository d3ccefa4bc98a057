//! Sessions: the digest of each token and whether it still counts (sec.S6).

use atelier_domain::{AccountId, Sealed, SessionId};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
pub use super::session_upkeep::{pending_before, remove, remove_expired, revoked_before, touch};
use crate::SecretDigest;

/// Where nodes are told which session is over, with the commit that ended it or took its token (`migrations/0016_sockets.sql`).
pub const ENDED_CHANNEL: &str = "atelier_sessions";

/// A session about to begin.
#[derive(Debug, Clone)]
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
    /// How long it counts without being used, seconds (U37).
    pub idle_seconds: i32,
    /// The device, coarse; sealed as field `device` of the row `session`.
    pub device: Option<Sealed>,
    /// The place, coarse; sealed as field `place` of the row `session`.
    pub place: Option<Sealed>,
}

/// Who calls, by a session that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatedSession {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// When somebody last proved who they are: at the start, or by a step-up (sec.S7).
    pub proved_at: DateTime<Utc>,
    /// When the session was last used, as far as the row knows.
    pub last_active_at: DateTime<Utc>,
}

/// What a session's row says for the list of sessions.
#[derive(Debug, Clone)]
pub struct SessionDetails {
    /// The session.
    pub session: SessionId,
    /// The device, sealed.
    pub device: Option<Sealed>,
    /// The place, sealed.
    pub place: Option<Sealed>,
    /// When the session was last used, as far as the row knows.
    pub last_active_at: DateTime<Utc>,
}

/// Inserts a session that does not count yet.
///
/// # Errors
/// When the id or digest is there already, or the database failed.
pub async fn insert_pending(pool: &PgPool, new: &NewSession) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.sessions
           (session_id, account_id, digest, state, created_at, expires_at, last_active_at, proved_at, idle_seconds, device, place)
         VALUES ($1, $2, $3, 'pending', $4, $5, $4, $4, $6, $7, $8)",
    )
    .bind(new.session.0)
    .bind(new.account.0)
    .bind(&new.digest.as_bytes()[..])
    .bind(new.created_at)
    .bind(new.expires_at)
    .bind(new.idle_seconds)
    .bind(new.device.as_ref().map(Sealed::as_text))
    .bind(new.place.as_ref().map(Sealed::as_text))
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

/// As [`activate`], for a session that was opened by a password: only if that is still the account's. Otherwise the session ends,
/// whichever way a change of the password and this call cross: the change waits for this statement, or this one for the change.
///
/// # Errors
/// When the database failed.
pub async fn activate_by_password(
    pool: &PgPool,
    account: AccountId,
    session: SessionId,
    version: i64,
) -> Result<bool, RowError> {
    let state: Option<String> = sqlx::query_scalar(
        "WITH password AS (SELECT version FROM credentials.passwords WHERE account_id = $2 FOR SHARE)
         UPDATE credentials.sessions SET state = CASE WHEN (SELECT version FROM password) = $3 THEN 'active' ELSE 'revoked' END
         WHERE session_id = $1 AND account_id = $2 AND state IN ('pending', 'active') RETURNING state",
    )
    .bind(session.0)
    .bind(account.0)
    .bind(version)
    .fetch_optional(pool)
    .await?;
    Ok(state.as_deref() == Some("active"))
}

/// Shortens how long a session counts without being used; never lengthens it.
///
/// # Errors
/// When the database failed.
pub async fn shorten_idle(pool: &PgPool, session: SessionId, idle_seconds: i32) -> Result<(), RowError> {
    sqlx::query("UPDATE credentials.sessions SET idle_seconds = least(idle_seconds, $2) WHERE session_id = $1")
        .bind(session.0)
        .bind(idle_seconds)
        .execute(pool)
        .await?;
    Ok(())
}

/// The sessions of an account whose rows count, whatever the log says of them; a few hundred at most.
///
/// # Errors
/// When the database failed.
pub async fn active_of(pool: &PgPool, account: AccountId) -> Result<Vec<SessionId>, RowError> {
    let statement = "SELECT session_id FROM credentials.sessions WHERE account_id = $1 AND state = 'active'";
    let ids: Vec<Uuid> = sqlx::query_scalar(statement).bind(account.0).fetch_all(pool).await?;
    Ok(ids.into_iter().map(SessionId).collect())
}

/// Gives a session that counts another token, because its owner has just proven who they are; the old one is dead at once
/// (sec.S6). Says whether the session still counted.
///
/// # Errors
/// When the database failed.
pub async fn renew(
    pool: &PgPool,
    account: AccountId,
    session: SessionId,
    digest: &SecretDigest,
    proved_at: DateTime<Utc>,
) -> Result<bool, RowError> {
    let updated = sqlx::query(
        "UPDATE credentials.sessions SET digest = $3, proved_at = $4, last_active_at = greatest(last_active_at, $4)
         WHERE session_id = $1 AND account_id = $2 AND state = 'active' AND expires_at > $4",
    )
    .bind(session.0)
    .bind(account.0)
    .bind(&digest.as_bytes()[..])
    .bind(proved_at)
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

/// Ends every session of an account but one, and tells which ones this ended.
///
/// # Errors
/// When the database failed.
pub async fn revoke_all(
    executor: impl sqlx::PgExecutor<'_>,
    account: AccountId,
    except: Option<SessionId>,
) -> Result<Vec<SessionId>, RowError> {
    let ended: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE credentials.sessions SET state = 'revoked'
         WHERE account_id = $1 AND state <> 'revoked' AND session_id IS DISTINCT FROM $2
         RETURNING session_id",
    )
    .bind(account.0)
    .bind(except.map(|session| session.0))
    .fetch_all(executor)
    .await?;
    Ok(ended.into_iter().map(SessionId).collect())
}

/// One row of the lookup by a session's id.
#[derive(sqlx::FromRow)]
struct Row {
    account_id: Uuid,
    digest: Vec<u8>,
    proved_at: DateTime<Utc>,
    last_active_at: DateTime<Utc>,
}

/// Whose session a presented token is: only an active one whose digest this is, before its end, and used within its idle limit.
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn authenticate(
    pool: &PgPool,
    session: SessionId,
    digest: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<Option<AuthenticatedSession>, RowError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT account_id, digest, proved_at, last_active_at FROM credentials.sessions
         WHERE session_id = $1 AND state = 'active' AND expires_at > $2
           AND last_active_at + make_interval(secs => idle_seconds) > $2",
    )
    .bind(session.0)
    .bind(now)
    .fetch_optional(pool)
    .await?;
    Ok(row.filter(|row| digest.matches(&row.digest)).map(|row| AuthenticatedSession {
        session,
        account: AccountId(row.account_id),
        proved_at: row.proved_at,
        last_active_at: row.last_active_at,
    }))
}

/// Whether a session of an account counts at this moment, for whom has no token of it at hand.
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn counts(
    pool: &PgPool,
    account: AccountId,
    session: SessionId,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let statement = "SELECT EXISTS (SELECT FROM credentials.sessions WHERE session_id = $1 AND account_id = $2
         AND state = 'active' AND expires_at > $3 AND last_active_at + make_interval(secs => idle_seconds) > $3)";
    Ok(sqlx::query_scalar(statement).bind(session.0).bind(account.0).bind(now).fetch_one(pool).await?)
}

/// Which of these sessions count at this moment, each by the digest of its token, by their places in the list: one statement for all
/// that a node holds open.
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn that_count(
    pool: &PgPool,
    presented: &[(SessionId, SecretDigest)],
    now: DateTime<Utc>,
) -> Result<Vec<usize>, RowError> {
    let (ids, digests): (Vec<Uuid>, Vec<Vec<u8>>) =
        presented.iter().map(|(session, digest)| (session.0, digest.as_bytes().to_vec())).unzip();
    let counting: Vec<i64> = sqlx::query_scalar(
        "SELECT presented.place FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS presented (id, digest, place)
         JOIN credentials.sessions s ON s.session_id = presented.id AND s.digest = presented.digest
         WHERE s.state = 'active' AND s.expires_at > $3 AND s.last_active_at + make_interval(secs => s.idle_seconds) > $3",
    )
    .bind(ids)
    .bind(digests)
    .bind(now)
    .fetch_all(pool)
    .await?;
    Ok(counting.into_iter().filter_map(|place| usize::try_from(place - 1).ok()).collect())
}

/// One row of the list of an account's sessions.
#[derive(sqlx::FromRow)]
struct DetailsRow {
    session_id: Uuid,
    device: Option<String>,
    place: Option<String>,
    last_active_at: DateTime<Utc>,
}

/// What the rows say of the sessions of an account that count, at most a few hundred.
///
/// # Errors
/// When the database failed.
pub async fn details(
    executor: impl sqlx::PgExecutor<'_>,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Vec<SessionDetails>, RowError> {
    let rows: Vec<DetailsRow> = sqlx::query_as(
        "SELECT session_id, device, place, last_active_at FROM credentials.sessions
         WHERE account_id = $1 AND state = 'active' AND expires_at > $2
           AND last_active_at + make_interval(secs => idle_seconds) > $2
         ORDER BY created_at DESC LIMIT 500",
    )
    .bind(account.0)
    .bind(now)
    .fetch_all(executor)
    .await?;
    let sealed = |text: Option<String>| text.map(Sealed::from_text);
    let details = |row: DetailsRow| SessionDetails {
        session: SessionId(row.session_id),
        device: sealed(row.device),
        place: sealed(row.place),
        last_active_at: row.last_active_at,
    };
    Ok(rows.into_iter().map(details).collect())
}
