//! Addresses that accounts have and nobody has proven: by which sign-up or change of address, and since when (U26).

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::RowError;
use crate::transactions::begin;
use crate::{IndexDigest, SecretDigest};

/// So many sign-ups with one address have links that count: the newest of those that were mailed one.
pub const NEWEST: i64 = 5;

/// One account's unproven address.
#[derive(Debug, Clone, Copy)]
pub struct Unproven {
    /// Whose.
    pub account: AccountId,
    /// Since when, by the command's clock.
    pub since: DateTime<Utc>,
}

/// Notes that an account's address is unproven, in place of what was noted before. `token` is what `signUp` returned; a change of address
/// has none.
///
/// # Errors
/// When the database failed.
pub async fn note(
    executor: impl sqlx::PgExecutor<'_>,
    account: AccountId,
    address: &IndexDigest,
    token: Option<&SecretDigest>,
    since: DateTime<Utc>,
) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.unproven_addresses AS u (account_id, key_version, digest, sign_up_token, since)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (account_id) DO UPDATE SET key_version = excluded.key_version, digest = excluded.digest,
           sign_up_token = excluded.sign_up_token, since = excluded.since
         WHERE (u.key_version, u.digest) IS DISTINCT FROM (excluded.key_version, excluded.digest)",
    )
    .bind(account.0)
    .bind(address.key_version)
    .bind(&address.digest[..])
    .bind(token.map(|token| &token.as_bytes()[..]))
    .bind(since)
    .execute(executor)
    .await?;
    Ok(())
}

/// Whether a presented token is the one that this account's sign-up returned, and still counts.
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn has_token(pool: &PgPool, account: AccountId, token: &SecretDigest) -> Result<bool, RowError> {
    let statement = "SELECT sign_up_token FROM credentials.unproven_addresses WHERE account_id = $1";
    let stored: Option<Option<Vec<u8>>> = sqlx::query_scalar(statement).bind(account.0).fetch_optional(pool).await?;
    Ok(stored.flatten().is_some_and(|stored| token.matches(&stored)))
}

/// Ends the token of a sign-up. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn end_token(executor: impl sqlx::PgExecutor<'_>, account: AccountId) -> Result<(), RowError> {
    let statement = "UPDATE credentials.unproven_addresses SET sign_up_token = NULL WHERE account_id = $1";
    sqlx::query(statement).bind(account.0).execute(executor).await?;
    Ok(())
}

/// The accounts whose unproven address this is: those with this token, or all, newest first; at most `limit`.
///
/// # Errors
/// When the database failed.
pub async fn of(
    pool: &PgPool,
    address: &IndexDigest,
    token: Option<&SecretDigest>,
    limit: i64,
) -> Result<Vec<Unproven>, RowError> {
    let rows: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "SELECT account_id, since FROM credentials.unproven_addresses
         WHERE key_version = $1 AND digest = $2 AND ($3::bytea IS NULL OR sign_up_token = $3)
         ORDER BY since DESC, account_id DESC LIMIT $4",
    )
    .bind(address.key_version)
    .bind(&address.digest[..])
    .bind(token.map(|token| &token.as_bytes()[..]))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(account, since)| Unproven { account: AccountId(account), since }).collect())
}

/// Whether links to this account's unproven address count: fewer than [`NEWEST`] younger sign-ups with the address were mailed a link that
/// is still open. A sign-up whose mail did not go out takes nobody's place.
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn is_among_newest(pool: &PgPool, account: AccountId, now: DateTime<Utc>) -> Result<bool, RowError> {
    let younger: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM credentials.unproven_addresses mine
         JOIN credentials.unproven_addresses theirs
           ON (theirs.key_version, theirs.digest) = (mine.key_version, mine.digest)
          AND (theirs.since, theirs.account_id) > (mine.since, mine.account_id)
         WHERE mine.account_id = $1 AND EXISTS (
           SELECT FROM credentials.mail_tokens t WHERE t.account_id = theirs.account_id AND t.purpose = 'verify_email'
             AND t.used_at IS NULL AND t.expires_at > $2)",
    )
    .bind(account.0)
    .bind(now)
    .fetch_one(pool)
    .await?;
    Ok(younger < NEWEST)
}

/// Forgets an account's unproven address: it is proven, or the account ends. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    let statement = "DELETE FROM credentials.unproven_addresses WHERE account_id = $1";
    sqlx::query(statement).bind(account.0).execute(pool).await?;
    Ok(())
}

/// The right to prove one address, on any number of nodes: it ends with the transaction, or with whoever died in it.
///
/// # Errors
/// When the database failed.
pub async fn lock(pool: &PgPool, address: &IndexDigest) -> Result<Transaction<'static, Postgres>, RowError> {
    let mut transaction = begin(pool).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 7029341185503))")
        .bind(&address.digest[..])
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}
