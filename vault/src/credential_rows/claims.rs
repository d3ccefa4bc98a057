//! Claims: which account an email or username belongs to, by its blind index (DESIGN 4, "Uniqueness").
//!
//! A username has three states. Held: it is its account's. Pending: a rename took it, and its event may not be in the log.
//! Released: a rename gave it up; until an instant it finds its account and is nobody's, from then on it is free (U29).

use atelier_domain::AccountId;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub use super::address_claims::{claim_address, complete_address, lock_address, release_address, try_lock_address};
use super::{RowError, unproven_addresses};
use crate::transactions::begin;
use crate::{IndexDigest, IndexKind, SecretDigest};

/// What a claim is to its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// Its name.
    Held,
    /// Its next name, perhaps.
    Pending,
    /// A name it had.
    Released,
}

impl ClaimState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Pending => "pending",
            Self::Released => "released",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "pending" => Self::Pending,
            "released" => Self::Released,
            // The table's check allows no fourth word.
            _ => Self::Held,
        }
    }
}

/// Who has a claim, and since when: one whose account never opened may be taken over after ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The account.
    pub account: AccountId,
    /// When it was claimed, by the command's clock.
    pub claimed_at: DateTime<Utc>,
    /// What it is to the account.
    pub state: ClaimState,
    /// Until when a name that was given up finds its account; kept while a rename takes it back.
    pub redirects_until: Option<DateTime<Utc>>,
    /// Whether the holder's account is known to be open, so that nobody need look.
    pub settled: bool,
}

impl Claim {
    fn of((account, claimed_at, state, redirects_until, settled): Row) -> Self {
        Self { account: AccountId(account), claimed_at, state: ClaimState::of(&state), redirects_until, settled }
    }

    /// Whether it counts no longer: given up, and its time of sending visitors on is over.
    #[must_use]
    pub fn is_free(&self, now: DateTime<Utc>) -> bool {
        self.state == ClaimState::Released && !self.redirects(now)
    }

    /// Whether it sends visitors on to its account.
    #[must_use]
    pub fn redirects(&self, now: DateTime<Utc>) -> bool {
        self.redirects_until.is_some_and(|until| now < until)
    }
}

type Row = (Uuid, DateTime<Utc>, String, Option<DateTime<Utc>>, bool);

/// Claims an index value, or says who has it; waits for a claimant whose transaction is still open. A free one changes hands; one's
/// own that is not held is claimed anew.
async fn claim(
    connection: &mut PgConnection,
    index: &IndexDigest,
    account: AccountId,
    now: DateTime<Utc>,
    state: ClaimState,
) -> Result<Claim, RowError> {
    // An update of a row that stands changes nothing: it makes the statement return that row, without a race.
    let row: Row = sqlx::query_as(
        "INSERT INTO credentials.claims AS c (kind, key_version, digest, account_id, claimed_at, state)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (kind, key_version, digest) DO UPDATE SET (account_id, claimed_at, state, redirects_until, settled) = (
             SELECT CASE WHEN free THEN excluded.account_id ELSE c.account_id END,
                    CASE WHEN free OR ours THEN excluded.claimed_at ELSE c.claimed_at END,
                    CASE WHEN free OR ours THEN excluded.state ELSE c.state END,
                    CASE WHEN free THEN NULL ELSE c.redirects_until END,
                    c.settled AND NOT free
             FROM (SELECT c.state = 'released' AND c.redirects_until <= $5 AS free,
                          c.state <> 'held' AND c.account_id = excluded.account_id AS ours) AS standing)
         RETURNING account_id, claimed_at, state, redirects_until, settled",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .bind(account.0)
    .bind(now)
    .bind(state.as_str())
    .fetch_one(connection)
    .await?;
    Ok(Claim::of(row))
}

/// Claims a username for an account that is about to open, and notes the address that it has yet to prove, with the token its client gets;
/// both or neither. Answers with the claim that stands, ours or another's. Claiming again what one holds is harmless.
///
/// # Errors
/// When the database failed; then nothing was claimed, unless the failure was the commit's answer getting lost.
pub async fn claim_sign_up(
    pool: &PgPool,
    account: AccountId,
    username: &IndexDigest,
    address: &IndexDigest,
    token: Option<&SecretDigest>,
    now: DateTime<Utc>,
) -> Result<Claim, RowError> {
    let mut transaction = begin(pool).await?;
    let standing = claim(&mut transaction, username, account, now, ClaimState::Held).await?;
    if standing.account != account {
        transaction.rollback().await?;
        return Ok(standing);
    }
    unproven_addresses::note(&mut *transaction, account, address, token, now).await?;
    transaction.commit().await?;
    Ok(standing)
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

/// Takes a username for a rename, pending until its event is in the log; answers with the claim that stands, ours or another's.
/// Of many at once for a free name exactly one gets it.
///
/// # Errors
/// When the database failed.
pub async fn claim_pending(
    pool: &PgPool,
    account: AccountId,
    username: &IndexDigest,
    now: DateTime<Utc>,
) -> Result<Claim, RowError> {
    let mut connection = pool.acquire().await?;
    claim(&mut connection, username, account, now, ClaimState::Pending).await
}

/// Who has an index value, if anyone; the caller looks whether it is free.
///
/// # Errors
/// When the database failed.
pub async fn find(executor: impl sqlx::PgExecutor<'_>, index: &IndexDigest) -> Result<Option<Claim>, RowError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT account_id, claimed_at, state, redirects_until, settled FROM credentials.claims
         WHERE kind = $1 AND key_version = $2 AND digest = $3",
    )
    .bind(index.kind.as_str())
    .bind(index.key_version)
    .bind(&index.digest[..])
    .fetch_optional(executor)
    .await?;
    Ok(row.map(Claim::of))
}

/// After the event of a rename: the pending name is held, and what was held sends visitors on until an instant. Says whether it was
/// still to be done; late or again it does nothing, so it never undoes a later rename.
///
/// # Errors
/// When the database failed; then nothing changed.
pub async fn complete_rename(
    pool: &PgPool,
    account: AccountId,
    username: &IndexDigest,
    redirects_until: DateTime<Utc>,
) -> Result<bool, RowError> {
    let mut transaction = begin(pool).await?;
    let held = "UPDATE credentials.claims SET state = 'held', redirects_until = NULL
         WHERE kind = $1 AND key_version = $2 AND digest = $3 AND account_id = $4 AND state = 'pending'";
    let released = "UPDATE credentials.claims SET state = 'released', redirects_until = $5
         WHERE account_id = $4 AND kind = $1 AND state = 'held' AND NOT (key_version = $2 AND digest = $3)";
    for (statement, until) in [(held, None), (released, Some(redirects_until))] {
        let query = sqlx::query(statement)
            .bind(username.kind.as_str())
            .bind(username.key_version)
            .bind(&username.digest[..])
            .bind(account.0);
        let query = if let Some(until) = until { query.bind(until) } else { query };
        let updated = query.execute(&mut *transaction).await?;
        if until.is_none() && updated.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
    }
    transaction.commit().await?;
    Ok(true)
}

/// After a rename that was not: the name is as it was before, free or sending visitors on. Only the claim of that instant: one claimed
/// anew since then belongs to a request that is still at work. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn give_up(
    pool: &PgPool,
    account: AccountId,
    username: &IndexDigest,
    claimed_at: DateTime<Utc>,
) -> Result<(), RowError> {
    let mut transaction = begin(pool).await?;
    let pending =
        "kind = $1 AND key_version = $2 AND digest = $3 AND account_id = $4 AND claimed_at = $5 AND state = 'pending'";
    for statement in [
        format!("UPDATE credentials.claims SET state = 'released' WHERE {pending} AND redirects_until IS NOT NULL"),
        format!("DELETE FROM credentials.claims WHERE {pending}"),
    ] {
        sqlx::query(&statement)
            .bind(username.kind.as_str())
            .bind(username.key_version)
            .bind(&username.digest[..])
            .bind(account.0)
            .bind(claimed_at)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A change of name or address whose end is not known.
#[derive(Debug, Clone, Copy)]
pub struct PendingName {
    /// The name or address it took.
    pub index: IndexDigest,
    /// Whose.
    pub account: AccountId,
    /// When.
    pub claimed_at: DateTime<Utc>,
}

/// Up to `limit` pending names or addresses claimed before an instant, oldest first; of one account, if one is given.
///
/// # Errors
/// When the database failed.
pub async fn pending_before(
    pool: &PgPool,
    kind: IndexKind,
    account: Option<AccountId>,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PendingName>, RowError> {
    let rows: Vec<(i16, Vec<u8>, Uuid, DateTime<Utc>)> = sqlx::query_as(
        "SELECT key_version, digest, account_id, claimed_at FROM credentials.claims
         WHERE state = 'pending' AND kind = $4 AND claimed_at < $1 AND ($2::uuid IS NULL OR account_id = $2)
         ORDER BY claimed_at, digest LIMIT $3",
    )
    .bind(instant)
    .bind(account.map(|account| account.0))
    .bind(limit)
    .bind(kind.as_str())
    .fetch_all(pool)
    .await?;
    let pending = |(key_version, digest, account, claimed_at): (i16, Vec<u8>, Uuid, DateTime<Utc>)| {
        let digest = digest.try_into().ok()?;
        let index = IndexDigest { kind, key_version, digest };
        Some(PendingName { index, account: AccountId(account), claimed_at })
    };
    Ok(rows.into_iter().filter_map(pending).collect())
}

/// Removes up to `limit` names that were given up and send nobody on any more; how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_free(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.claims WHERE state = 'released' AND redirects_until <= $1
         AND (kind, key_version, digest) IN (SELECT kind, key_version, digest FROM credentials.claims
             WHERE state = 'released' AND redirects_until <= $1 LIMIT $2)";
    Ok(sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected())
}

/// Gives up every claim of an account. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn release(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.claims WHERE account_id = $1").bind(account.0).execute(pool).await?;
    Ok(())
}
