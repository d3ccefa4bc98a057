//! Tokens sent by mail: kept as digests, single use however many try at once (sec.S5).

use atelier_domain::{AccountId, Sealed};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::RowError;
use crate::SecretDigest;

/// What a mail token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailPurpose {
    /// Proves that the mailbox is the account's.
    VerifyEmail,
    /// Sets a new password (A15).
    ResetPassword,
    /// Keeps a second factor on that staff were asked to turn off (U36).
    KeepTwoFactor,
}

impl MailPurpose {
    /// The word rows store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::KeepTwoFactor => "keep_two_factor",
        }
    }
}

/// Which address a mail went to, without saying which: the SHA-256 of its sealed form, which is another one for every address an account
/// was ever given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailedTo([u8; 32]);

impl MailedTo {
    /// The mark of a sealed address.
    #[must_use]
    pub fn of(address: &Sealed) -> Self {
        Self(Sha256::digest(address.as_text()).into())
    }
}

/// A token that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldToken {
    /// Whose it is.
    pub account: AccountId,
    address: Option<[u8; 32]>,
}

impl HeldToken {
    /// Whether it was mailed to this address. One of an older release does not say, and passes.
    #[must_use]
    pub fn was_mailed_to(&self, address: Option<&Sealed>) -> bool {
        self.address.is_none_or(|mark| address.is_some_and(|address| MailedTo::of(address) == MailedTo(mark)))
    }
}

/// Inserts a token that counts from now until `expires_at`.
///
/// # Errors
/// When the digest is there already, or the database failed.
pub async fn insert(
    pool: &PgPool,
    digest: &SecretDigest,
    account: AccountId,
    purpose: MailPurpose,
    address: MailedTo,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.mail_tokens (token_digest, account_id, purpose, created_at, expires_at, address)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&digest.as_bytes()[..])
    .bind(account.0)
    .bind(purpose.as_str())
    .bind(now)
    .bind(expires_at)
    .bind(&address.0[..])
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether a token of this purpose was made for the account after an instant.
///
/// # Errors
/// When the database failed.
pub async fn made_since(
    pool: &PgPool,
    account: AccountId,
    purpose: MailPurpose,
    instant: DateTime<Utc>,
) -> Result<bool, RowError> {
    let statement = "SELECT EXISTS (SELECT FROM credentials.mail_tokens WHERE account_id = $1 AND purpose = $2 AND created_at > $3)";
    let query = sqlx::query_scalar(statement).bind(account.0).bind(purpose.as_str()).bind(instant);
    Ok(query.fetch_one(pool).await?)
}

/// Voids what was mailed to an account's former address: links that prove it or set a password, made before an instant. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn void_before(pool: &PgPool, account: AccountId, instant: DateTime<Utc>) -> Result<(), RowError> {
    let statement = "UPDATE credentials.mail_tokens SET used_at = $2 WHERE account_id = $1 AND created_at < $2
         AND used_at IS NULL AND purpose IN ('verify_email', 'reset_password')";
    sqlx::query(statement).bind(account.0).bind(instant).execute(pool).await?;
    Ok(())
}

/// Removes up to `limit` tokens that no longer count, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_expired(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.mail_tokens WHERE token_digest IN
         (SELECT token_digest FROM credentials.mail_tokens WHERE expires_at < $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}

/// Uses a token up and says whose it was; of many tries at once exactly one gets an answer.
///
/// # Errors
/// When the database failed.
pub async fn consume(
    pool: &PgPool,
    digest: &SecretDigest,
    purpose: MailPurpose,
    now: DateTime<Utc>,
) -> Result<Option<AccountId>, RowError> {
    let account: Option<Uuid> = sqlx::query_scalar(
        "UPDATE credentials.mail_tokens SET used_at = $3
         WHERE token_digest = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3
         RETURNING account_id",
    )
    .bind(&digest.as_bytes()[..])
    .bind(purpose.as_str())
    .bind(now)
    .fetch_optional(pool)
    .await?;
    Ok(account.map(AccountId))
}

/// Whose token it is, without using it up.
///
/// # Errors
/// When the database failed.
pub async fn peek(
    pool: &PgPool,
    digest: &SecretDigest,
    purpose: MailPurpose,
    now: DateTime<Utc>,
) -> Result<Option<HeldToken>, RowError> {
    let held: Option<(Uuid, Option<[u8; 32]>)> = sqlx::query_as(
        "SELECT account_id, address FROM credentials.mail_tokens
         WHERE token_digest = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3",
    )
    .bind(&digest.as_bytes()[..])
    .bind(purpose.as_str())
    .bind(now)
    .fetch_optional(pool)
    .await?;
    Ok(held.map(|(account, address)| HeldToken { account: AccountId(account), address }))
}

/// Uses a token of this account up inside a change of its password, and voids the account's other ones of that purpose; says whether it
/// counted. Of many tries at once the first holds the row until it commits, and the others then find it used.
pub(super) async fn use_up(
    connection: &mut PgConnection,
    digest: &SecretDigest,
    account: AccountId,
    purpose: MailPurpose,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let used = sqlx::query(
        "UPDATE credentials.mail_tokens SET used_at = $4
         WHERE token_digest = $1 AND account_id = $2 AND purpose = $3 AND used_at IS NULL AND expires_at > $4",
    )
    .bind(&digest.as_bytes()[..])
    .bind(account.0)
    .bind(purpose.as_str())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if used.rows_affected() == 1 {
        void_others(connection, account, purpose, now).await?;
    }
    Ok(used.rows_affected() == 1)
}

async fn void_others(
    connection: &mut PgConnection,
    account: AccountId,
    purpose: MailPurpose,
    now: DateTime<Utc>,
) -> Result<(), RowError> {
    let statement =
        "UPDATE credentials.mail_tokens SET used_at = $3 WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL";
    sqlx::query(statement).bind(account.0).bind(purpose.as_str()).bind(now).execute(connection).await?;
    Ok(())
}
