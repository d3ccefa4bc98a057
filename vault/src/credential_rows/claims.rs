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
}

/// What became of an attempt to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// Both are the account's now, or were already.
    Claimed,
    /// Another account holds this one; neither was claimed.
    Taken {
        /// Which of the two.
        kind: IndexKind,
        /// Its holder.
        holder: Claim,
    },
}

/// Claims an index value, or says who holds it; waits for a claimant whose transaction is still open.
async fn claim(
    connection: &mut PgConnection,
    index: &IndexDigest,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Claim, RowError> {
    // The update changes nothing: it makes the statement return the row that stands, ours or theirs, without a race.
    let (holder, claimed_at): (Uuid, DateTime<Utc>) = sqlx::query_as(
        "INSERT INTO credentials.claims (kind, key_version, digest, account_id, claimed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kind, key_version, digest) DO UPDATE SET account_id = claims.account_id
         RETURNING account_id, claimed_at",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .bind(account.0)
    .bind(now)
    .fetch_one(connection)
    .await?;
    Ok(Claim { account: AccountId(holder), claimed_at })
}

/// Claims an email and a username for an account: both or neither. Claiming again what one holds is harmless.
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
    for index in [email, username] {
        let holder = claim(&mut transaction, index, account, now).await?;
        if holder.account != account {
            transaction.rollback().await?;
            return Ok(ClaimOutcome::Taken { kind: index.kind, holder });
        }
    }
    transaction.commit().await?;
    Ok(ClaimOutcome::Claimed)
}

/// Who holds an index value, if anyone.
///
/// # Errors
/// When the database failed.
pub async fn find(executor: impl sqlx::PgExecutor<'_>, index: &IndexDigest) -> Result<Option<Claim>, RowError> {
    let row: Option<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "SELECT account_id, claimed_at FROM credentials.claims WHERE kind = $1 AND key_version = $2 AND digest = $3",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|(account, claimed_at)| Claim { account: AccountId(account), claimed_at }))
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
        "UPDATE credentials.claims SET account_id = $5, claimed_at = $6
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
