//! The sign-up bonus: once for each mailbox, however its address is written, and not again within a year of a deletion (U19).
//!
//! What happens when the process dies: before the mark, nothing; after the mark, the work is tried again and finds its own mark; after the
//! grant, the ledger knows the lot, and the mark loses the name of the grant; after that, a repeat finds a mark that is not its own, and has
//! nothing left to do.

use atelier_domain::account::{Account, Status};
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::policy::account::QUARANTINE_MONTHS;
use atelier_domain::policy::mailboxes::mailbox_of;
use atelier_domain::policy::sign_up_bonus::{AMOUNT, LIFETIME};
use atelier_domain::text::Email;
use atelier_domain::{AccountId, LedgerId, LotId};
use atelier_vault::credential_rows::bonus_marks;
use atelier_vault::{Opened, VaultError};
use chrono::{DateTime, Months};

use super::work::WorkError;
use crate::command_path::{CommandContext, CommandError};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::use_cases::{GrantCredits, address_history};
use crate::write_side::WriteSide;

fn failed(error: impl std::fmt::Display) -> WorkError {
    WorkError::Command(error.to_string())
}

/// Grants an account its bonus, unless its mailbox had one. The lot's id is the verifying event's.
pub(super) async fn grant(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    lot: LotId,
) -> Result<(), WorkError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(failed)?;
    if loaded.state.status() != Status::Open {
        return Ok(());
    }
    let Some(sealed) = loaded.state.email() else { return Ok(()) };
    let Opened::Text(address) = write.vault.open(account, "email", sealed).await.map_err(failed)? else {
        return Ok(());
    };
    let mark = write.blind_index.bonus_mark(&mailbox_of(&Email::stored(address)));
    let grant = write.blind_index.grant(lot);
    if !bonus_marks::take(&write.pool, &mark, &grant, write.now()).await.map_err(failed)? {
        return Ok(());
    }
    // A UUIDv7: its own instant, so that a late repeat asks for the same terms.
    let verified_at = lot.0.get_timestamp().and_then(|t| {
        let (seconds, nanos) = t.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    });
    let expires_at = verified_at.map(|at| at + LIFETIME);
    let ledger = LedgerId::live(account);
    let credits = GrantCredits { ledger, lot, reason: GrantReason::SignUpBonus, amount: AMOUNT, expires_at };
    match credits.run(write, context).await {
        // It waits for room, until it expires: credits are not lost because others came first.
        Err(full @ CommandError::Refused(Refusal { code: RefusalCode::LimitReached, .. })) => return Err(failed(full)),
        Ok(_) | Err(CommandError::Refused(_)) => {}
        Err(CommandError::Internal(cause)) => return Err(failed(cause)),
        Err(error) => return Err(failed(error)),
    }
    bonus_marks::granted(&write.pool, &mark, &grant).await.map_err(failed)
}

/// The step of an erasure: every address that the account had keeps its mark for twelve months from now. Accounts of releases before this one
/// have none, and get it here. Nothing of an account that never proved an address: it had no bonus.
///
/// # Errors
/// When the log, the keys or the rows failed; then it is to be done again.
pub(crate) async fn outlive(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    if !loaded.state.was_verified() {
        return Ok(());
    }
    let now = write.now();
    let until = now.checked_add_months(Months::new(QUARANTINE_MONTHS)).unwrap_or(now);
    for sealed in address_history::addresses(write, account).await? {
        match write.vault.open(account, "email", &sealed).await {
            Ok(Opened::Text(address)) => {
                let mark = write.blind_index.bonus_mark(&mailbox_of(&Email::stored(address)));
                bonus_marks::outlive(&write.pool, &mark, until).await?;
            }
            // The key is gone: this step was done before.
            Ok(Opened::Erased) | Err(VaultError::KeyMissing) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
