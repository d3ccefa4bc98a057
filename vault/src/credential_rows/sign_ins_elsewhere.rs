//! Browsers on their way to another provider and back: ten minutes, bound to the browser, used once (sec.O1).

use atelier_domain::{AccountId, SessionId};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
use crate::SecretDigest;

/// How long a browser may be away.
pub const LIFE: TimeDelta = TimeDelta::minutes(10);
/// The most browsers away at once; beyond it a sign-in elsewhere has to wait.
const AT_ONCE: i64 = 50_000;

/// Why a browser goes elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// To sign in, or up.
    SignIn,
    /// To link the identity to an account, for the session that asked.
    Link {
        /// The account.
        account: AccountId,
        /// The session.
        session: SessionId,
    },
}

/// A browser's journey: what for, and what is kept for its return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Why it goes. A journey of a frontend says that in what it carries, and here signs in.
    pub errand: Errand,
    /// For a frontend: what was asked for, sealed for the browser's token.
    pub carried: Option<String>,
}

/// Notes that a browser goes; says whether there was room for it.
///
/// # Errors
/// When the database failed.
pub async fn insert(
    pool: &PgPool,
    state: &SecretDigest,
    browser: &SecretDigest,
    journey: &Journey,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let (account, session) = match journey.errand {
        Errand::SignIn => (None, None),
        Errand::Link { account, session } => (Some(account.0), Some(session.0)),
    };
    let inserted = sqlx::query(
        "INSERT INTO credentials.sign_ins_elsewhere (state_digest, browser_digest, account_id, session_id, expires_at, carried)
         SELECT $1, $2, $3, $4, $5, $7
         WHERE (SELECT count(*) FROM (SELECT FROM credentials.sign_ins_elsewhere LIMIT $6) AS away) < $6",
    )
    .bind(&state.as_bytes()[..])
    .bind(&browser.as_bytes()[..])
    .bind(account)
    .bind(session)
    .bind(now + LIFE)
    .bind(AT_ONCE)
    .bind(journey.carried.as_deref())
    .execute(pool)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// One row, as it is read.
type Row = (Option<Uuid>, Option<Uuid>, Option<String>);

fn journey((account, session, carried): Row) -> Journey {
    let errand = match (account, session) {
        (Some(account), Some(session)) => Errand::Link { account: AccountId(account), session: SessionId(session) },
        _ => Errand::SignIn,
    };
    Journey { errand, carried }
}

/// A journey under way, for the browser that began it, in time; it is not used up.
///
/// # Errors
/// When the database failed.
pub async fn find(
    pool: &PgPool,
    state: &SecretDigest,
    browser: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<Option<Journey>, RowError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT account_id, session_id, carried FROM credentials.sign_ins_elsewhere
         WHERE state_digest = $1 AND browser_digest = $2 AND expires_at > $3",
    )
    .bind(&state.as_bytes()[..])
    .bind(&browser.as_bytes()[..])
    .bind(now)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(journey))
}

/// Uses a journey up and returns it; only for the browser that began it, only once, only in time.
///
/// # Errors
/// When the database failed.
pub async fn consume(
    pool: &PgPool,
    state: &SecretDigest,
    browser: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<Option<Journey>, RowError> {
    let row: Option<Row> = sqlx::query_as(
        "DELETE FROM credentials.sign_ins_elsewhere WHERE state_digest = $1 AND browser_digest = $2 AND expires_at > $3
         RETURNING account_id, session_id, carried",
    )
    .bind(&state.as_bytes()[..])
    .bind(&browser.as_bytes()[..])
    .bind(now)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(journey))
}

/// Removes up to `limit` journeys that took too long, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.sign_ins_elsewhere WHERE state_digest IN
         (SELECT state_digest FROM credentials.sign_ins_elsewhere WHERE expires_at < $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}
