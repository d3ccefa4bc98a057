//! The second factor: its sealed seed, the last step used, and how many wrong codes were tried (sec.T1-T3).
//!
//! To turn it on: a pending row, then a right code, the event, the active row. To turn it off: the row off, the event, no row. A
//! sign-in asks the log whether it takes a code; a row that is `off` while the log says on still checks codes.

use atelier_domain::{AccountId, Sealed};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{RowError, recovery_codes};
use crate::SecretDigest;
use crate::transactions::begin;

/// How long a seed that was shown waits for its first code.
const PENDING_LIFE: TimeDelta = TimeDelta::hours(1);
/// Wrong codes in a row before the factor locks (sec.T3).
const FREE_TRIES: i32 = 5;
/// The longest lock.
const LONGEST_LOCK: TimeDelta = TimeDelta::hours(1);

/// Where a factor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorState {
    /// Shown, not proven.
    Pending,
    /// A right code came; its event is on the way.
    Confirming,
    /// Checks codes.
    Active,
    /// Being turned off.
    Off,
}

impl FactorState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirming => "confirming",
            Self::Active => "active",
            Self::Off => "off",
        }
    }
}

/// What became of taking a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Try {
    /// There is nothing to try against.
    NoFactor,
    /// Too many were wrong: not before this instant.
    Locked(DateTime<Utc>),
    /// The try counts from now on, whatever comes of it; the sealed seed to compare with.
    Counted(Sealed),
}

/// The lock after so many tries in a row: none for four, then a minute that doubles up to an hour.
fn lock_after(tries: i32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let beyond = u32::try_from(tries - FREE_TRIES).ok()?;
    let lock = TimeDelta::minutes(1) * 2_i32.pow(beyond.min(6));
    Some(now + lock.min(LONGEST_LOCK))
}

/// Puts a fresh seed in place of one that was never proven, or of one whose end is in the log; the caller has seen that the log
/// says off. Says whether it did: a factor that is being turned on is left alone until `settled`.
///
/// # Errors
/// When the database failed.
pub async fn enrol(
    pool: &PgPool,
    account: AccountId,
    seed: &Sealed,
    now: DateTime<Utc>,
    settled: DateTime<Utc>,
) -> Result<bool, RowError> {
    let put = sqlx::query(
        "INSERT INTO credentials.second_factors AS f (account_id, seed, state, changed_at) VALUES ($1, $2, 'pending', $3)
         ON CONFLICT (account_id) DO UPDATE
         SET seed = $2, state = 'pending', changed_at = $3, last_step = 0, tries = 0, locked_until = NULL
         WHERE f.state = 'pending' OR f.changed_at < $4",
    );
    let put = put.bind(account.0).bind(seed.as_text()).bind(now).bind(settled).execute(pool).await?;
    Ok(put.rows_affected() == 1)
}

/// Counts a try before anybody looks at its code, so that no number of tries at once gets beyond the bound.
///
/// # Errors
/// When the database failed.
pub async fn take_try(pool: &PgPool, account: AccountId, enrolling: bool, now: DateTime<Utc>) -> Result<Try, RowError> {
    let mut transaction = begin(pool).await?;
    let row: Option<(String, i32, Option<DateTime<Utc>>)> = sqlx::query_as(
        "SELECT seed, tries, locked_until FROM credentials.second_factors
         WHERE account_id = $1 AND (state = 'pending') = $2 AND (state <> 'pending' OR changed_at > $3) FOR UPDATE",
    )
    .bind(account.0)
    .bind(enrolling)
    .bind(now - PENDING_LIFE)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((seed, tries, locked_until)) = row else { return Ok(Try::NoFactor) };
    if let Some(until) = locked_until.filter(|until| *until > now) {
        return Ok(Try::Locked(until));
    }
    let tries = tries.saturating_add(1);
    sqlx::query("UPDATE credentials.second_factors SET tries = $2, locked_until = $3 WHERE account_id = $1")
        .bind(account.0)
        .bind(tries)
        .bind(lock_after(tries, now))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Try::Counted(Sealed::from_text(seed)))
}

/// Uses a step up: of many right codes of one step exactly one is told so. The tries start again.
///
/// # Errors
/// When the database failed.
pub async fn accept(pool: &PgPool, account: AccountId, seed: &Sealed, step: i64) -> Result<bool, RowError> {
    let accepted = sqlx::query(
        "UPDATE credentials.second_factors SET last_step = $3, tries = 0, locked_until = NULL
         WHERE account_id = $1 AND seed = $2 AND state <> 'pending' AND last_step < $3",
    );
    let accepted = accepted.bind(account.0).bind(seed.as_text()).bind(step).execute(pool).await?;
    Ok(accepted.rows_affected() == 1)
}

/// The first right code of a pending factor, with its recovery codes, both or neither; exactly one of many tries is told so.
///
/// # Errors
/// When the database failed; then nothing changed, unless the failure was the commit's answer getting lost.
pub async fn confirm(
    pool: &PgPool,
    account: AccountId,
    seed: &Sealed,
    step: i64,
    codes: &[SecretDigest],
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let mut transaction = begin(pool).await?;
    let confirmed = sqlx::query(
        "UPDATE credentials.second_factors
         SET last_step = $3, tries = 0, locked_until = NULL, state = 'confirming', changed_at = $4
         WHERE account_id = $1 AND seed = $2 AND state = 'pending'",
    )
    .bind(account.0)
    .bind(seed.as_text())
    .bind(step)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    if confirmed.rows_affected() == 0 {
        return Ok(false);
    }
    recovery_codes::put_in_place(&mut transaction, account, codes).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Moves a factor on, if it is where the caller thinks it is; says whether it was.
///
/// # Errors
/// When the database failed.
pub async fn shift(
    pool: &PgPool,
    account: AccountId,
    from: FactorState,
    to: FactorState,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let statement =
        "UPDATE credentials.second_factors SET state = $3, changed_at = $4 WHERE account_id = $1 AND state = $2";
    let shifted = sqlx::query(statement).bind(account.0).bind(from.as_str()).bind(to.as_str()).bind(now);
    Ok(shifted.execute(pool).await?.rows_affected() == 1)
}

/// Removes a factor that is in one of these states, with its recovery codes. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove(pool: &PgPool, account: AccountId, states: &[FactorState]) -> Result<(), RowError> {
    let mut transaction = begin(pool).await?;
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let statement = "DELETE FROM credentials.second_factors WHERE account_id = $1 AND state = ANY ($2)";
    let removed = sqlx::query(statement).bind(account.0).bind(states).execute(&mut *transaction).await?;
    if removed.rows_affected() == 1 {
        recovery_codes::put_in_place(&mut transaction, account, &[]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// For the reconciler: up to `limit` factors that have been in a state since before an instant, oldest first.
///
/// # Errors
/// When the database failed.
pub async fn left_in(
    pool: &PgPool,
    state: FactorState,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<AccountId>, RowError> {
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "SELECT account_id FROM credentials.second_factors
         WHERE state = $1 AND state <> 'active' AND changed_at < $2 ORDER BY changed_at, account_id LIMIT $3",
    )
    .bind(state.as_str())
    .bind(instant)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(AccountId).collect())
}

/// Removes up to `limit` seeds that were shown and never proven, and says how many.
///
/// # Errors
/// When the database failed.
pub async fn remove_unproven(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, RowError> {
    let statement = "DELETE FROM credentials.second_factors WHERE account_id IN
         (SELECT account_id FROM credentials.second_factors WHERE state = 'pending' AND changed_at < $1 LIMIT $2)
         AND state = 'pending' AND changed_at < $1";
    let removed = sqlx::query(statement).bind(now - PENDING_LIFE).bind(limit).execute(pool).await?;
    Ok(removed.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_the_fifth_wrong_code_locks_for_a_minute_that_doubles_up_to_an_hour() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let minutes = |tries| lock_after(tries, now).map(|until| (until - now).num_minutes());
        let locks =
            [None, None, None, None, Some(1), Some(2), Some(4), Some(8), Some(16), Some(32), Some(60), Some(60)];
        assert_eq!((1..=12).map(minutes).collect::<Vec<_>>(), locks);
        assert_eq!(minutes(i32::MAX), Some(60));
    }
}
