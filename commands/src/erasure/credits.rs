//! Unused credits are forfeited, and the ledgers closed: the balance is exactly zero from there on (A38).

use atelier_domain::AccountId;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError};

use super::jobs::{end_holds, ledgers};
use crate::command_path::{CommandContext, CommandError, Target};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// How often a hold may come in between.
const ATTEMPTS: usize = 16;

/// Closes both ledgers of an account. Again is harmless.
///
/// # Errors
/// When the log failed, or new holds came all the time.
pub(super) async fn forfeit(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
) -> Result<(), UseCaseError> {
    for ledger in ledgers(account) {
        let target = Target { id: ledger.to_string(), subject: account };
        let mut closed = false;
        for _ in 0..ATTEMPTS {
            let command = |now| CreditLedgerCommand::Close { now };
            match write.path.execute::<CreditLedger>(&target, context, None, command).await {
                Ok(_) => {
                    closed = true;
                    break;
                }
                Err(CommandError::Refused(CreditLedgerError::HoldsOpen)) => end_holds(write, context, ledger).await?,
                Err(error) => return Err(error.map(Refusal::from)),
            }
        }
        if !closed {
            return Err(CommandError::Conflict);
        }
    }
    Ok(())
}
