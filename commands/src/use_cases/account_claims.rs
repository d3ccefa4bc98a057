//! Claims on usernames: taken before the account opens, taken over when their account never did (DESIGN 4, Uniqueness). Addresses are
//! claimed when they are proven (`address_proof`).

use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, KeyClass, Reason};
use atelier_vault::credential_rows::claims::{self, Claim, ClaimState, PendingName};
use atelier_vault::credential_rows::{delete_account, unproven_addresses};
use atelier_vault::{IndexDigest, IndexKind, SecretDigest, VaultError};
use chrono::TimeDelta;

use super::{address_claims, rename_claims};
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// How old a claim must be before its missing account counts as abandoned.
pub(super) const STALE_AFTER: TimeDelta = TimeDelta::minutes(10);
/// How often a stale claim is cleared away before the sign-up gives up.
const ATTEMPTS: usize = 4;

/// The no to a name that is somebody's, sends visitors on, or is under quarantine; which of them is not said.
pub(super) fn username_taken() -> Refusal {
    Refusal::coded(RefusalCode::UsernameTaken, "username", Reason::Taken, "This username is taken.")
}

/// The digest an address is found by.
pub(super) fn email_digest(write: &WriteSide, email: &Email) -> IndexDigest {
    write.blind_index.digest(IndexKind::Email, &email.folded())
}

/// The digest a username is found by.
pub(super) fn username_digest(write: &WriteSide, username: &Username) -> IndexDigest {
    write.blind_index.digest(IndexKind::Username, username.as_ref())
}

/// What a new account claims and names.
pub(super) struct SignUpClaim<'a> {
    pub(super) account: AccountId,
    pub(super) username: &'a Username,
    /// The address it has yet to prove.
    pub(super) address: &'a IndexDigest,
    /// What its client gets.
    pub(super) token: Option<&'a SecretDigest>,
}

/// Claims the username of a new account, clearing a stale claim away on the way; says whether it is the account's. It is public, so who
/// asks may be told. Nothing looks at whose the address is (sec.S4).
pub(super) async fn claim(
    write: &WriteSide,
    context: &CommandContext,
    claim: SignUpClaim<'_>,
) -> Result<bool, UseCaseError> {
    let SignUpClaim { account, username, address, token } = claim;
    let index = username_digest(write, username);
    for _ in 0..ATTEMPTS {
        let holder = claims::claim_sign_up(&write.pool, account, &index, address, token, write.now()).await?;
        if holder.account != account {
            if clear_if_stale(write, context, &index, holder).await? {
                continue;
            }
            return Ok(false);
        }
        // Looked for after the claim: an erasure gives its names up only once they are under quarantine.
        if write.quarantine.holds(&write.pool, &index, write.now()).await? {
            give_up(write, account).await?;
            return Ok(false);
        }
        return Ok(true);
    }
    Err(CommandError::Conflict)
}

/// Gives up what was claimed for an account that does not open.
pub(super) async fn give_up(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    unproven_addresses::remove(&write.pool, account).await?;
    Ok(claims::release(&write.pool, account).await?)
}

/// Removes the claims of an account that never opened. First its stream is closed, so that a late sign-up conflicts; then its
/// rows and keys go. A crash in between leaves the claim, and the next sign-up does it again. An account that turns out to be open
/// has its claims settled. A rename that died is ended as the reconciler would.
pub(super) async fn clear_if_stale(
    write: &WriteSide,
    context: &CommandContext,
    index: &IndexDigest,
    holder: Claim,
) -> Result<bool, UseCaseError> {
    if write.now() - holder.claimed_at < STALE_AFTER {
        return Ok(false);
    }
    let Claim { account, claimed_at, state, .. } = holder;
    match state {
        ClaimState::Held if holder.settled => return Ok(false),
        ClaimState::Held => {}
        ClaimState::Released => return Ok(false),
        ClaimState::Pending => {
            let pending = PendingName { index: *index, account, claimed_at };
            match index.kind {
                IndexKind::Username => rename_claims::end(write, &pending).await?,
                IndexKind::Email => address_claims::end_if_free(write, &pending).await?,
            };
            let left = claims::find(&write.pool, index).await?;
            return Ok(left.is_none_or(|claim| claim.is_free(write.now())));
        }
    }
    match abandon(write, context, holder.account).await? {
        true => Ok(true),
        false => {
            claims::settle(&write.pool, holder.account).await?;
            Ok(false)
        }
    }
}

/// Closes an id whose account never opened, and removes its rows and keys; says whether it could be: an open account is left alone.
pub(super) async fn abandon(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
) -> Result<bool, UseCaseError> {
    match write.path.execute::<Account>(&account_target(account), context, None, |_| AccountCommand::Abandon).await {
        Ok(_) => {
            for class in [KeyClass::Profile, KeyClass::Billing] {
                match write.vault.shred(account, class).await {
                    // It died before its keys were made.
                    Ok(()) | Err(VaultError::KeyMissing) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            delete_account(&write.pool, account).await?;
            Ok(true)
        }
        Err(CommandError::Refused(AccountError::AlreadyUsed)) => Ok(false),
        Err(error) => Err(error.map(Refusal::from)),
    }
}
