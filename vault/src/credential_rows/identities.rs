//! Identities elsewhere: whose account signs in by which, found by a keyed digest of issuer and subject (sec.O1).

use atelier_domain::account::IdentityProvider;
use atelier_domain::{AccountId, IdentityId, Sealed};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;
use crate::IdentityDigest;

/// An identity about to be linked.
#[derive(Debug, Clone)]
pub struct NewIdentityRow {
    /// Its id.
    pub identity: IdentityId,
    /// Whose it will be.
    pub account: AccountId,
    /// Who vouches.
    pub provider: IdentityProvider,
    /// What it is found by.
    pub digest: IdentityDigest,
    /// What it is called in the settings, sealed.
    pub label: Sealed,
    /// When, by the command's clock.
    pub created_at: DateTime<Utc>,
}

/// Whose an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldIdentity {
    /// The identity.
    pub identity: IdentityId,
    /// Its account.
    pub account: AccountId,
    /// Whether it signs in; otherwise it is being linked or unlinked.
    pub active: bool,
    /// When it was claimed, by the command's clock.
    pub created_at: DateTime<Utc>,
}

/// An identity of a list.
#[derive(Debug, Clone)]
pub struct ListedIdentity {
    /// The identity.
    pub identity: IdentityId,
    /// What it is called, sealed.
    pub label: Sealed,
    /// When it was linked.
    pub linked_at: DateTime<Utc>,
}

/// Claims an identity for an account, without letting it sign in yet. Says whether it did: otherwise somebody has it, or had it
/// a moment ago.
///
/// # Errors
/// When the database failed.
pub async fn insert_pending(pool: &PgPool, new: &NewIdentityRow) -> Result<bool, RowError> {
    let inserted = sqlx::query(
        "INSERT INTO credentials.identities (identity_id, account_id, provider, key_version, digest, label, state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7) ON CONFLICT (provider, key_version, digest) DO NOTHING",
    )
    .bind(new.identity.0)
    .bind(new.account.0)
    .bind(new.provider.as_str())
    .bind(new.digest.key_version)
    .bind(&new.digest.digest[..])
    .bind(new.label.as_text())
    .bind(new.created_at)
    .execute(pool)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Lets a pending identity sign in, after its event is in the log; says whether it does now.
///
/// # Errors
/// When the database failed.
pub async fn activate(pool: &PgPool, identity: IdentityId) -> Result<bool, RowError> {
    let statement =
        "UPDATE credentials.identities SET state = 'active' WHERE identity_id = $1 AND state IN ('pending', 'active')";
    Ok(sqlx::query(statement).bind(identity.0).execute(pool).await?.rows_affected() == 1)
}

/// Whose an identity is, if it is anybody's.
///
/// # Errors
/// When the database failed.
pub async fn find(
    pool: &PgPool,
    provider: IdentityProvider,
    digest: &IdentityDigest,
) -> Result<Option<HeldIdentity>, RowError> {
    let row: Option<(Uuid, Uuid, String, DateTime<Utc>)> = sqlx::query_as(
        "SELECT identity_id, account_id, state, created_at FROM credentials.identities
         WHERE provider = $1 AND key_version = $2 AND digest = $3",
    )
    .bind(provider.as_str())
    .bind(digest.key_version)
    .bind(&digest.digest[..])
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(identity, account, state, created_at)| HeldIdentity {
        identity: IdentityId(identity),
        account: AccountId(account),
        active: state == "active",
        created_at,
    }))
}

/// An account's identities that sign in, oldest first; a handful at most.
///
/// # Errors
/// When the database failed.
pub async fn of(pool: &PgPool, account: AccountId) -> Result<Vec<ListedIdentity>, RowError> {
    let rows: Vec<(Uuid, String, DateTime<Utc>)> = sqlx::query_as(
        "SELECT identity_id, label, created_at FROM credentials.identities
         WHERE account_id = $1 AND state = 'active' ORDER BY created_at, identity_id LIMIT 20",
    )
    .bind(account.0)
    .fetch_all(pool)
    .await?;
    let listed = |(identity, label, linked_at)| ListedIdentity {
        identity: IdentityId(identity),
        label: Sealed::from_text(label),
        linked_at,
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Stops an identity of this account from signing in; its event is to follow. Says whether there is such an identity.
///
/// # Errors
/// When the database failed.
pub async fn revoke(pool: &PgPool, account: AccountId, identity: IdentityId) -> Result<bool, RowError> {
    let statement = "UPDATE credentials.identities SET state = 'revoked' WHERE identity_id = $1 AND account_id = $2";
    Ok(sqlx::query(statement).bind(identity.0).bind(account.0).execute(pool).await?.rows_affected() == 1)
}

/// Lets a revoked identity sign in again: the log did not agree to its end.
///
/// # Errors
/// When the database failed.
pub async fn restore(pool: &PgPool, identity: IdentityId) -> Result<(), RowError> {
    let statement = "UPDATE credentials.identities SET state = 'active' WHERE identity_id = $1 AND state = 'revoked'";
    sqlx::query(statement).bind(identity.0).execute(pool).await?;
    Ok(())
}

/// For the reconciler: up to `limit` identities claimed before an instant that are being linked (`pending`) or unlinked, oldest
/// first.
///
/// # Errors
/// When the database failed.
pub async fn unsettled_before(
    pool: &PgPool,
    pending: bool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(IdentityId, AccountId)>, RowError> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT identity_id, account_id FROM credentials.identities
         WHERE state = $1 AND state <> 'active' AND created_at < $2 ORDER BY created_at, identity_id LIMIT $3",
    )
    .bind(if pending { "pending" } else { "revoked" })
    .bind(instant)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(identity, account)| (IdentityId(identity), AccountId(account))).collect())
}

/// The identities of an account that sign in no more and whose rows are still there: the events of their ends may be missing.
///
/// # Errors
/// When the database failed.
pub async fn revoked_of(pool: &PgPool, account: AccountId) -> Result<Vec<IdentityId>, RowError> {
    let statement = "SELECT identity_id FROM credentials.identities WHERE account_id = $1 AND state = 'revoked'";
    let identities: Vec<Uuid> = sqlx::query_scalar(statement).bind(account.0).fetch_all(pool).await?;
    Ok(identities.into_iter().map(IdentityId).collect())
}

/// Removes an identity that does not sign in. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove(pool: &PgPool, identity: IdentityId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.identities WHERE identity_id = $1 AND state <> 'active'")
        .bind(identity.0)
        .execute(pool)
        .await?;
    Ok(())
}
