//! API keys: the digest of each key, what it may do and whether it still counts (sec.K1, sec.K3, sec.K4).

use atelier_domain::account::SpendCaps;
use atelier_domain::{AccountId, ApiKeyId, Credits, Environment};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
use super::key_places::{self, Places};
use crate::{ApiKeySecret, SecretDigest};

/// An API key about to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewApiKey<'a> {
    /// Its id.
    pub key: ApiKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The key itself, for its public id and environment; its secret is not stored.
    pub secret: &'a ApiKeySecret,
    /// What is stored of its secret.
    pub digest: SecretDigest,
    /// What it may do.
    pub scopes: &'a [String],
    /// When it is made, by the command's clock.
    pub created_at: DateTime<Utc>,
    /// The first instant at which it no longer counts, if any.
    pub expires_at: Option<DateTime<Utc>>,
    /// How much it may spend.
    pub caps: SpendCaps,
    /// The key it takes over from, if it is a rotation: it spends on with that one's caps (B18).
    pub replaces: Option<ApiKeyId>,
}

/// Who calls, by an API key that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedApiKey {
    /// The key.
    pub key: ApiKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// Live or test credits.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<String>,
    /// How much it may spend.
    pub caps: SpendCaps,
    /// The first key of its line: what its caps are counted under.
    pub budget: ApiKeyId,
    /// How many jobs it has asked for within a day.
    pub places: Places,
}

/// Inserts a key that does not count yet.
///
/// # Errors
/// When the id or public id is there already, or the database failed.
pub async fn insert_pending(pool: &PgPool, new: &NewApiKey<'_>) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.api_keys
           (key_id, public_id, account_id, environment, digest, scopes, state, created_at, expires_at,
            daily_cap, total_cap, replaces, budget_id)
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, $11,
            coalesce((SELECT o.budget_id FROM credentials.api_keys o WHERE o.key_id = $11 AND o.account_id = $3), $1))",
    )
    .bind(new.key.0)
    .bind(new.secret.public_id())
    .bind(new.account.0)
    .bind(new.secret.environment().as_str())
    .bind(&new.digest.as_bytes()[..])
    .bind(new.scopes)
    .bind(new.created_at)
    .bind(new.expires_at)
    .bind(new.caps.daily.map(Credits::get))
    .bind(new.caps.total.map(Credits::get))
    .bind(new.replaces.map(|key| key.0))
    .execute(pool)
    .await?;
    Ok(())
}

/// Makes a pending key count, after its event is in the log. Says whether it counts now: one that was revoked or
/// removed meanwhile does not.
///
/// # Errors
/// When the database failed.
pub async fn activate(pool: &PgPool, key: ApiKeyId) -> Result<bool, RowError> {
    let updated = sqlx::query(
        "UPDATE credentials.api_keys SET state = 'active' WHERE key_id = $1 AND state IN ('pending', 'active')",
    )
    .bind(key.0)
    .execute(pool)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Ends a key for the very next call on any node, before its event is appended; only `account`'s own. Says whether
/// there is such a key. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn revoke(pool: &PgPool, account: AccountId, key: ApiKeyId) -> Result<bool, RowError> {
    let updated =
        sqlx::query("UPDATE credentials.api_keys SET state = 'revoked' WHERE key_id = $1 AND account_id = $2")
            .bind(key.0)
            .bind(account.0)
            .execute(pool)
            .await?;
    Ok(updated.rows_affected() == 1)
}

/// Brings a key's end forward, after the event of it; a sooner one stays. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn shorten(pool: &PgPool, account: AccountId, key: ApiKeyId, end: DateTime<Utc>) -> Result<(), RowError> {
    // `least` passes over a null: a key without an end gets one.
    sqlx::query(
        "UPDATE credentials.api_keys SET expires_at = least(expires_at, $3) WHERE key_id = $1 AND account_id = $2",
    )
    .bind(key.0)
    .bind(account.0)
    .bind(end)
    .execute(pool)
    .await?;
    Ok(())
}

/// The key that a key takes over from, if it is a rotation.
///
/// # Errors
/// When the database failed.
pub async fn replaced_by(pool: &PgPool, key: ApiKeyId) -> Result<Option<ApiKeyId>, RowError> {
    let replaced: Option<Option<Uuid>> =
        sqlx::query_scalar("SELECT replaces FROM credentials.api_keys WHERE key_id = $1")
            .bind(key.0)
            .fetch_optional(pool)
            .await?;
    Ok(replaced.flatten().map(ApiKeyId))
}

/// The keys of an account whose rows are revoked and still there: the events of their ends may be missing.
///
/// # Errors
/// When the database failed.
pub async fn revoked_of(pool: &PgPool, account: AccountId) -> Result<Vec<ApiKeyId>, RowError> {
    let statement = "SELECT key_id FROM credentials.api_keys WHERE account_id = $1 AND state = 'revoked'";
    let keys: Vec<Uuid> = sqlx::query_scalar(statement).bind(account.0).fetch_all(pool).await?;
    Ok(keys.into_iter().map(ApiKeyId).collect())
}

/// Ends every key of an account, and tells which ones this ended.
///
/// # Errors
/// When the database failed.
pub async fn revoke_all(pool: &PgPool, account: AccountId) -> Result<Vec<ApiKeyId>, RowError> {
    let ended: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE credentials.api_keys SET state = 'revoked' WHERE account_id = $1 AND state <> 'revoked'
         RETURNING key_id",
    )
    .bind(account.0)
    .fetch_all(pool)
    .await?;
    Ok(ended.into_iter().map(ApiKeyId).collect())
}

/// One row of the lookup by public id.
#[derive(sqlx::FromRow)]
struct Row {
    key_id: Uuid,
    account_id: Uuid,
    digest: Vec<u8>,
    scopes: Vec<String>,
    daily_cap: Option<i64>,
    total_cap: Option<i64>,
    budget_id: Uuid,
    used: i64,
    oldest: Option<i64>,
}

/// Who calls with a presented key: only an active, unexpired one whose digest is this. Never cached (sec.K3).
///
/// # Errors
/// When the database failed; never taken for a "no" or a "yes".
pub async fn authenticate(
    pool: &PgPool,
    presented: &ApiKeySecret,
    digest: &SecretDigest,
    now: DateTime<Utc>,
) -> Result<Option<AuthenticatedApiKey>, RowError> {
    let environment = presented.environment();
    let row: Option<Row> = sqlx::query_as(
        "SELECT k.key_id, k.account_id, k.digest, k.scopes, k.daily_cap, k.total_cap, k.budget_id, p.used, p.oldest
         FROM credentials.api_keys k
         CROSS JOIN LATERAL (
             SELECT coalesce(sum(taken), 0)::bigint AS used, min(slot) AS oldest FROM credentials.api_key_places
             WHERE key_id = k.key_id AND slot > $4 AND taken > 0) p
         WHERE k.public_id = $1 AND k.environment = $2 AND k.state = 'active'
           AND (k.expires_at IS NULL OR k.expires_at > $3)",
    )
    .bind(presented.public_id())
    .bind(environment.as_str())
    .bind(now)
    .bind(key_places::before(now))
    .fetch_optional(pool)
    .await?;
    Ok(row.filter(|row| digest.matches(&row.digest)).map(|row| AuthenticatedApiKey {
        key: ApiKeyId(row.key_id),
        account: AccountId(row.account_id),
        environment,
        scopes: row.scopes,
        caps: SpendCaps { daily: row.daily_cap.map(Credits::new), total: row.total_cap.map(Credits::new) },
        budget: ApiKeyId(row.budget_id),
        places: Places { used: row.used, oldest: row.oldest },
    }))
}

/// The keys of an account whose rows count, whatever the log says of them; at most as many as an account may have.
///
/// # Errors
/// When the database failed.
pub async fn active_of(pool: &PgPool, account: AccountId) -> Result<Vec<ApiKeyId>, RowError> {
    let statement = "SELECT key_id FROM credentials.api_keys WHERE account_id = $1 AND state = 'active'";
    let ids: Vec<Uuid> = sqlx::query_scalar(statement).bind(account.0).fetch_all(pool).await?;
    Ok(ids.into_iter().map(ApiKeyId).collect())
}

/// The keys of an account whose rows are active and whose end has come.
///
/// # Errors
/// When the database failed.
pub async fn expired_of(pool: &PgPool, account: AccountId, now: DateTime<Utc>) -> Result<Vec<ApiKeyId>, RowError> {
    let statement =
        "SELECT key_id FROM credentials.api_keys WHERE account_id = $1 AND state = 'active' AND expires_at <= $2";
    let ids: Vec<Uuid> = sqlx::query_scalar(statement).bind(account.0).bind(now).fetch_all(pool).await?;
    Ok(ids.into_iter().map(ApiKeyId).collect())
}

/// For the reconciler: up to `limit` keys pending since before an instant, oldest first. Their event is in the log
/// (then activate) or is not (then remove).
///
/// # Errors
/// When the database failed.
pub async fn pending_before(
    pool: &PgPool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(ApiKeyId, AccountId)>, RowError> {
    to_reconcile(pool, "pending", instant, limit).await
}

/// For the reconciler: up to `limit` keys made before an instant and revoked since, oldest first. Append the event of
/// their end if it is missing, then remove them.
///
/// # Errors
/// When the database failed.
pub async fn revoked_before(
    pool: &PgPool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(ApiKeyId, AccountId)>, RowError> {
    to_reconcile(pool, "revoked", instant, limit).await
}

async fn to_reconcile(
    pool: &PgPool,
    state: &str,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(ApiKeyId, AccountId)>, RowError> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT key_id, account_id FROM credentials.api_keys
         WHERE state = $1 AND state <> 'active' AND created_at < $2 ORDER BY created_at, key_id LIMIT $3",
    )
    .bind(state)
    .bind(instant)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(key, account)| (ApiKeyId(key), AccountId(account))).collect())
}

/// Removes a key that is not active. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove(pool: &PgPool, key: ApiKeyId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.api_keys WHERE key_id = $1 AND state <> 'active'")
        .bind(key.0)
        .execute(pool)
        .await?;
    Ok(())
}
