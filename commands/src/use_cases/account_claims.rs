//! Claims on email and username: taken before the account opens, taken over when their account never did (DESIGN 4, Uniqueness).

use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, KeyClass, Reason};
use atelier_vault::credential_rows::claims::{self, Claim, ClaimOutcome, ClaimState, PendingName};
use atelier_vault::credential_rows::delete_account;
use atelier_vault::{IndexDigest, IndexKind, VaultError};
use chrono::TimeDelta;

use super::address_lookup::look_up;
use super::{address_claims, rename_claims};
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// How old a claim must be before its missing account counts as abandoned.
pub(super) const STALE_AFTER: TimeDelta = TimeDelta::minutes(10);
/// How often a stale claim is cleared away before the sign-up gives up; two are possible, one for each name.
const ATTEMPTS: usize = 4;

/// What became of the claims of a sign-up.
pub(super) enum Claims {
    /// The username is the new account's, and the address too unless somebody had it.
    Ours {
        /// Whether the address is the new account's.
        address_claimed: bool,
    },
    /// The username is somebody's.
    UsernameTaken,
}

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

/// Claims both names for a new account, clearing stale claims away on the way. A taken address costs what a free one costs (sec.S4):
/// its claim is settled, so nobody looks behind it.
pub(super) async fn claim(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    email: &Email,
    username: &Username,
) -> Result<Claims, UseCaseError> {
    // As it is claimed by another account, if it is: earlier releases claimed some addresses in other forms.
    let by_email = look_up(write, email.as_ref()).await?.index;
    let by_username = username_digest(write, username);
    for _ in 0..ATTEMPTS {
        // The username first: it is public, so it may be told; the address may not (sec.S4).
        let holder = claims::find(&write.pool, &by_username).await?;
        if let Some(holder) = holder.filter(|holder| !holder.is_free(write.now())) {
            if !clear_if_stale(write, context, &by_username, holder).await? {
                return Ok(Claims::UsernameTaken);
            }
            continue;
        }
        if let Some(holder) = claims::find(&write.pool, &by_email).await?
            && clear_if_stale(write, context, &by_email, holder).await?
        {
            continue;
        }
        match claims::claim_pair(&write.pool, account, &by_email, &by_username, write.now()).await? {
            // Looked for after the claim: an erasure gives its names up only once they are under quarantine.
            ClaimOutcome::Claimed | ClaimOutcome::UsernameOnly(_)
                if write.quarantine.holds(&write.pool, &by_username, write.now()).await? =>
            {
                claims::release(&write.pool, account).await?;
                return Ok(Claims::UsernameTaken);
            }
            ClaimOutcome::Claimed => return Ok(Claims::Ours { address_claimed: true }),
            ClaimOutcome::UsernameOnly(_) => return Ok(Claims::Ours { address_claimed: false }),
            ClaimOutcome::UsernameTaken(holder) => {
                if !clear_if_stale(write, context, &by_username, holder).await? {
                    return Ok(Claims::UsernameTaken);
                }
            }
        }
    }
    Err(CommandError::Conflict)
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
                IndexKind::Email => address_claims::end(write, &pending).await?,
            };
            let left = claims::find(&write.pool, index).await?;
            return Ok(left.is_none_or(|claim| claim.is_free(write.now())));
        }
    }
    let target = account_target(holder.account);
    match write.path.execute::<Account>(&target, context, None, |_| AccountCommand::Abandon).await {
        Ok(_) => {
            for class in [KeyClass::Profile, KeyClass::Billing] {
                match write.vault.shred(holder.account, class).await {
                    // It died before its keys were made.
                    Ok(()) | Err(VaultError::KeyMissing) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            delete_account(&write.pool, holder.account).await?;
            Ok(true)
        }
        Err(CommandError::Refused(AccountError::AlreadyUsed)) => {
            claims::settle(&write.pool, holder.account).await?;
            Ok(false)
        }
        Err(error) => Err(error.map(Refusal::from)),
    }
}
