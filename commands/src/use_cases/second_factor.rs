//! The second factor, as sign-in, step-up and settings use it: whether it is asked for, and whether a code is right (V11, sec.T1-T3).
//!
//! What happens when the process dies: a try that was counted stays counted until a right code comes; a recovery code that was
//! used without its event gets it from the reconciler.

use atelier_domain::account::{Account, AccountCommand, AccountError, StaffCommand, StaffOrder, TwoFactorReset};
use atelier_domain::{AccountId, Reason};
use atelier_vault::credential_rows::recovery_codes;
use atelier_vault::credential_rows::second_factor::{self, FactorState, Try};
use atelier_vault::{Opened, Place, RecoveryCode, SecretDigest, TotpSeed};
use chrono::{DateTime, Utc};

use super::keep_two_factor;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::security_log;
use crate::write_side::{WriteSide, account_target};

/// How many recovery codes there are (U36).
pub(super) const RECOVERY_CODES: usize = 10;
/// The longest text that is looked at as a code, in bytes: a recovery code with something of three bytes between any two letters, and more.
const LONGEST_CODE: usize = 256;

/// What the settings show of the second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorStatus {
    /// Whether signing in takes a code.
    pub enabled: bool,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: i64,
    /// What staff will do to it, unless its owner says no (U36).
    pub pending_reset: Option<PendingReset>,
}

/// A second factor that staff will turn off, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingReset {
    /// When.
    pub due_at: DateTime<Utc>,
    /// Why, in the words of staff.
    pub reason: Option<String>,
}

/// What the settings show of an account's second factor.
///
/// # Errors
/// When the log or the rows cannot be read.
pub async fn status(write: &WriteSide, account: AccountId) -> Result<SecondFactorStatus, UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    let enabled = loaded.state.two_factor();
    let recovery_codes_left = if enabled { recovery_codes::left(&write.pool, account).await? } else { 0 };
    let pending_reset = match loaded.state.two_factor_reset() {
        None => None,
        Some(TwoFactorReset { due_at, reason, .. }) => {
            let reason = match reason {
                Some(sealed) => write.vault.open(account, "reason", sealed).await?,
                None => Opened::Erased,
            };
            let reason = if let Opened::Text(text) = reason { Some(text) } else { None };
            Some(PendingReset { due_at: *due_at, reason })
        }
    };
    Ok(SecondFactorStatus { enabled, recovery_codes_left, pending_reset })
}

/// Whether signing in takes a code: what the log says, whatever state the row is in.
pub(super) async fn is_on(write: &WriteSide, account: AccountId) -> Result<bool, UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    Ok(loaded.state.two_factor())
}

/// Checks what was typed: a code of the authenticator, or a recovery code, which it uses up. Only for accounts whose factor is on.
///
/// # Errors
/// `invalid_code` for a wrong or used one; `rate_limited` while the authenticator is locked, which leaves recovery codes open: their
/// 120 bits are not guessed, and their owner is not locked out by somebody who guesses.
pub(super) async fn verify(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    typed: &str,
) -> Result<(), UseCaseError> {
    check(write, context, account, typed).await?;
    // Who passes it has not lost it (U36). A death in between lets nobody in, and the next right code stops it.
    keep_two_factor::stop(write, context, None, account).await.map(drop)
}

async fn check(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    typed: &str,
) -> Result<(), UseCaseError> {
    if typed.len() > LONGEST_CODE {
        return Err(wrong());
    }
    if let Ok(code) = RecoveryCode::parse(typed) {
        return use_recovery_code(write, context, account, &code).await;
    }
    let (seed, step) = right_step(write, account, false, typed).await?;
    if second_factor::accept(&write.pool, account, &seed, step).await? { Ok(()) } else { Err(wrong()) }
}

/// Counts a try, and then finds the step whose code was typed; with the sealed seed it was compared by.
pub(super) async fn right_step(
    write: &WriteSide,
    account: AccountId,
    enrolling: bool,
    typed: &str,
) -> Result<(atelier_domain::Sealed, i64), UseCaseError> {
    let now = write.now();
    let sealed = match second_factor::take_try(&write.pool, account, enrolling, now).await? {
        Try::Counted(sealed) => sealed,
        Try::Locked(until) => return Err(Refusal::too_many(until - now).into()),
        Try::NoFactor => {
            let message = "There is nothing to confirm; begin again to turn two-factor authentication on.";
            return Err(if enrolling { Refusal::new(RefusalCode::NotPossibleNow, message).into() } else { wrong() });
        }
    };
    let place = Place::row(account.0, "second_factor", "seed");
    let Opened::Text(text) = write.vault.open_at(account, &place, &sealed).await? else {
        return Err(CommandError::Erased);
    };
    let seed = TotpSeed::from_base32(&text).ok_or_else(|| CommandError::Internal("a stored seed is none".into()))?;
    let step = seed.step_of(typed, now).ok_or_else(wrong)?;
    Ok((sealed, step))
}

async fn use_recovery_code(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    code: &RecoveryCode,
) -> Result<(), UseCaseError> {
    let used_at = write.now();
    let digest = write.secrets.recovery_code(account, code);
    if !recovery_codes::consume(&write.pool, account, &digest, used_at).await? {
        return Err(wrong());
    }
    record_used_code(write, context, account).await?;
    recovery_codes::remove_used(&write.pool, account, used_at).await?;
    Ok(())
}

/// Appends the event of a used code; none when the factor went off meanwhile.
pub(crate) async fn record_used_code(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
) -> Result<(), UseCaseError> {
    let command = |_| AccountCommand::UseRecoveryCode;
    match write.path.execute::<Account>(&account_target(account), context, None, command).await {
        Ok(_) | Err(CommandError::Refused(AccountError::TwoFactorOff | AccountError::NotOpen)) => Ok(()),
        Err(error) => Err(error.map(Refusal::from)),
    }
}

/// Ten fresh recovery codes, and what is stored of them.
pub(super) fn fresh_codes(write: &WriteSide, account: AccountId) -> (Vec<RecoveryCode>, Vec<SecretDigest>) {
    let random = write.ports.random.as_ref();
    let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(random)).collect();
    let digests = codes.iter().map(|code| write.secrets.recovery_code(account, code)).collect();
    (codes, digests)
}

/// Turns the factor off by a command that says so: the row off, the event, no row. A row that is off still checks codes as long as
/// the log says on. When the process dies before the event, the reconciler turns the row on again: nobody was told anything; after
/// the event, it removes the row.
pub(super) async fn turn_off(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    command: impl Fn(DateTime<Utc>) -> AccountCommand + Send + Sync,
) -> Result<Position, UseCaseError> {
    let (active, off) = (FactorState::Active, FactorState::Off);
    let shifted = second_factor::shift(&write.pool, account, active, off, write.now()).await?;
    match write.path.execute::<Account>(&account_target(account), context, context.key(), command).await {
        Ok(executed) => {
            // Also one that was just being turned on: it is off now.
            second_factor::remove(&write.pool, account, &[off, active, FactorState::Confirming]).await?;
            Ok(executed.position())
        }
        Err(error) => {
            if shifted && matches!(error, CommandError::Refused(_) | CommandError::Conflict) {
                second_factor::shift(&write.pool, account, off, active, write.now()).await?;
            }
            Err(error.map(Refusal::from))
        }
    }
}

/// Turns somebody's lost factor off, by staff and with their reason (U36). Delay and mail are the caller's.
///
/// # Errors
/// `not_found` when the account is not open; `not_possible_now` when nobody asked for it, its owner said no, or it is not due;
/// the log's and the rows' failures.
pub async fn turn_off_by_staff(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    order: StaffOrder,
) -> Result<Position, UseCaseError> {
    let command =
        |now| AccountCommand::ByStaff { order: order.clone(), command: StaffCommand::DisableTwoFactor { now } };
    turn_off(write, context, account, command).await
}

/// The one answer to a wrong code, a used one, and none at all.
pub(super) fn wrong() -> UseCaseError {
    security_log::refused("sign_in_refused", "second factor");
    let message = "The code is wrong, or was used already.";
    Refusal::coded(RefusalCode::InvalidCode, "code", Reason::Wrong, message).into()
}
