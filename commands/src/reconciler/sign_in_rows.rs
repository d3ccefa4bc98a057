//! The reconciler's rounds over second factors, recovery codes and identities elsewhere, and over sign-ins that took too long.

use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_domain::{AccountId, IdentityId};
use atelier_vault::credential_rows::second_factor::{self, FactorState};
use atelier_vault::credential_rows::{challenges, identities, recovery_codes, sign_in_codes, sign_ins_elsewhere};
use chrono::{DateTime, Utc};

use super::{End, ROUND, Reconciled, count, state};
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::{Refusal, UseCaseError};
use crate::use_cases::second_factor::record_used_code;
use crate::write_side::{WriteSide, account_target};

/// One round.
pub(super) async fn reconcile(
    write: &WriteSide,
    context: &CommandContext,
    before: DateTime<Utc>,
    done: &mut Reconciled,
) -> Result<(), UseCaseError> {
    let (pool, now) = (&write.pool, write.now());
    for factor in [FactorState::Confirming, FactorState::Off] {
        for account in second_factor::left_in(pool, factor, before, ROUND).await? {
            count(done, settled(write, account, factor).await);
        }
    }
    for account in recovery_codes::used_before(pool, before, ROUND).await? {
        count(done, used_code(write, context, account, before).await);
    }
    for (identity, account) in identities::unsettled_before(pool, true, before, ROUND).await? {
        count(done, linked(write, identity, account).await);
    }
    for (identity, account) in identities::unsettled_before(pool, false, before, ROUND).await? {
        count(done, unlinked(write, context, identity, account).await);
    }
    second_factor::remove_unproven(pool, now, ROUND).await?;
    challenges::remove_expired(pool, now, ROUND).await?;
    sign_ins_elsewhere::remove_expired(pool, now, ROUND).await?;
    sign_in_codes::remove_expired(pool, now, ROUND).await?;
    Ok(())
}

/// A factor that was being turned on or off is what the log says: nobody was told of anything else.
async fn settled(write: &WriteSide, account: AccountId, from: FactorState) -> Result<End, UseCaseError> {
    if state(write, account).await?.two_factor() {
        second_factor::shift(&write.pool, account, from, FactorState::Active, write.now()).await?;
        return Ok(End::Activated);
    }
    second_factor::remove(&write.pool, account, &[from]).await?;
    Ok(End::Removed)
}

/// A used recovery code's event may be missing. It is appended, at worst a second time: a history that says too much is better than
/// one that is silent about a way in.
async fn used_code(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    before: DateTime<Utc>,
) -> Result<End, UseCaseError> {
    record_used_code(write, context, account).await?;
    recovery_codes::remove_used(&write.pool, account, before).await?;
    Ok(End::Ended)
}

async fn linked(write: &WriteSide, identity: IdentityId, account: AccountId) -> Result<End, UseCaseError> {
    if state(write, account).await?.identities().contains_key(&identity) {
        identities::activate(&write.pool, identity).await?;
        return Ok(End::Activated);
    }
    identities::remove(&write.pool, identity).await?;
    Ok(End::Removed)
}

async fn unlinked(
    write: &WriteSide,
    context: &CommandContext,
    identity: IdentityId,
    account: AccountId,
) -> Result<End, UseCaseError> {
    let command = |_| AccountCommand::UnlinkIdentity { identity_id: identity };
    match write.path.execute::<Account>(&account_target(account), context, None, command).await {
        Ok(_) | Err(CommandError::Refused(AccountError::NotOpen)) => {
            identities::remove(&write.pool, identity).await?;
            Ok(End::Ended)
        }
        // It is the only way in by now: it stays.
        Err(CommandError::Refused(AccountError::LastWayIn)) => {
            identities::restore(&write.pool, identity).await?;
            Ok(End::Activated)
        }
        Err(error) => Err(error.map(Refusal::from)),
    }
}
