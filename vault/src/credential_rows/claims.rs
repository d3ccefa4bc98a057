//! Claims: which account an email or username belongs to, by its blind index (DESIGN 4, "Uniqueness").

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::RowError;
use crate::{IndexDigest, IndexKind};

/// Who holds a claim, and since when: one whose account never opened may be taken over after ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The holder.
    pub account: AccountId,
    /// When it was claimed, by the command's clock.
    pub claimed_at: DateTime<Utc>,
    /// Whether the holder's account is known to be open, so that nobody need look.
    pub settled: bool,
}

/// What became of an attempt to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// Both are the account's now, or were already.
    Claimed,
    /// The username is the account's; the address is this holder's and stays so.
    UsernameOnly(Claim),
    /// The username is this holder's; neither was claimed.
    UsernameTaken(Claim),
}

/// Claims an index value, or says who holds it; waits for a claimant whose transaction is still open.
async fn claim(
    connection: &mut PgConnection,
    index: &IndexDigest,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Claim, RowError> {
    // The update changes nothing: it makes the statement return the row that stands, ours or theirs, without a race.
    let (holder, claimed_at, settled): (Uuid, DateTime<Utc>, bool) = sqlx::query_as(
        "INSERT INTO credentials.claims (kind, key_version, digest, account_id, claimed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kind, key_version, digest) DO UPDATE SET account_id = claims.account_id
         RETURNING account_id, claimed_at, settled",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .bind(account.0)
    .bind(now)
    .fetch_one(connection)
    .await?;
    Ok(Claim { account: AccountId(holder), claimed_at, settled })
}

/// Claims an email and a username for an account: both, or the username alone when somebody has the address, or neither when
/// somebody has the username. The same statements whoever has the address (sec.S4). Claiming again what one holds is harmless.
///
/// # Errors
/// When the database failed; then neither was claimed, unless the failure was the commit's answer getting lost.
pub async fn claim_pair(
    pool: &PgPool,
    account: AccountId,
    email: &IndexDigest,
    username: &IndexDigest,
    now: DateTime<Utc>,
) -> Result<ClaimOutcome, RowError> {
    let mut transaction = pool.begin().await?;
    // Always the email first: two sign-ups that cross wait for each other in one direction only.
    let of_email = claim(&mut transaction, email, account, now).await?;
    let of_username = claim(&mut transaction, username, account, now).await?;
    if of_username.account != account {
        transaction.rollback().await?;
        return Ok(ClaimOutcome::UsernameTaken(of_username));
    }
    transaction.commit().await?;
    Ok(if of_email.account == account { ClaimOutcome::Claimed } else { ClaimOutcome::UsernameOnly(of_email) })
}

/// Notes that the account behind these claims is open.
///
/// # Errors
/// When the database failed; whoever meets the claims then looks.
pub async fn settle(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    let statement = "UPDATE credentials.claims SET settled = true WHERE account_id = $1";
    sqlx::query(statement).bind(account.0).execute(pool).await?;
    Ok(())
}

/// The index of an account's username, if it claims one.
///
/// # Errors
/// When the database failed.
pub async fn username_of(pool: &PgPool, account: AccountId) -> Result<Option<IndexDigest>, RowError> {
    let statement =
        "SELECT key_version, digest FROM credentials.claims WHERE account_id = $1 AND kind = 'username' LIMIT 1";
    let row: Option<(i16, Vec<u8>)> = sqlx::query_as(statement).bind(account.0).fetch_optional(pool).await?;
    Ok(row.and_then(|(key_version, digest)| {
        Some(IndexDigest { kind: IndexKind::Username, key_version, digest: digest.try_into().ok()? })
    }))
}

/// Who holds an index value, if anyone.
///
/// # Errors
/// When the database failed.
pub async fn find(executor: impl sqlx::PgExecutor<'_>, index: &IndexDigest) -> Result<Option<Claim>, RowError> {
    let row: Option<(Uuid, DateTime<Utc>, bool)> = sqlx::query_as(
        "SELECT account_id, claimed_at, settled FROM credentials.claims WHERE kind = $1 AND key_version = $2 AND digest = $3",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|(account, claimed_at, settled)| Claim { account: AccountId(account), claimed_at, settled }))
}

/// Moves a claim to another account if `from` still holds it; only after `AccountAbandoned` stands in its stream.
/// Says whether it did.
///
/// # Errors
/// When the database failed.
pub async fn take_over(
    pool: &PgPool,
    index: &IndexDigest,
    from: AccountId,
    to: AccountId,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let updated = sqlx::query(
        "UPDATE credentials.claims SET account_id = $5, claimed_at = $6, settled = false
         WHERE kind = $1 AND key_version = $2 AND digest = $3 AND account_id = $4",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .bind(from.0)
    .bind(to.0)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Gives up every claim of an account. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn release(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.claims WHERE account_id = $1").bind(account.0).execute(pool).await?;
    Ok(())
}
