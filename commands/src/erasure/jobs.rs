//! Jobs at work are cancelled and their holds voided, before anything is forfeited (U23). A job that was delivered meanwhile is paid (L22).
//!
//! The jobs are those of the open holds: nothing is accepted without a hold, and a hold ends with its job.

use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError};
use atelier_domain::generation::{Generation, GenerationCommand, Status};
use atelier_domain::{AccountId, Environment, GenerationId, HoldId, LedgerId};

use crate::command_path::{CommandContext, CommandError, Target};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// How often the holds are looked at again: one more may come from a request that was let in before the keys were revoked.
const ROUNDS: usize = 16;

/// Both ledgers of an account.
pub(super) const fn ledgers(account: AccountId) -> [LedgerId; 2] {
    [LedgerId::live(account), LedgerId { account, environment: Environment::Test }]
}

/// Ends every open hold of an account, each with its job.
///
/// # Errors
/// When the log failed, or new holds came all the time.
pub(super) async fn end(write: &WriteSide, context: &CommandContext, account: AccountId) -> Result<(), UseCaseError> {
    for ledger in ledgers(account) {
        end_holds(write, context, ledger).await?;
    }
    Ok(())
}

/// Ends the open holds of one ledger until there is none.
///
/// # Errors
/// As [`end`].
pub(super) async fn end_holds(
    write: &WriteSide,
    context: &CommandContext,
    ledger: LedgerId,
) -> Result<(), UseCaseError> {
    for _ in 0..ROUNDS {
        let loaded = write.path.load::<CreditLedger>(&ledger.to_string()).await;
        let state = loaded.map_err(|error| error.map(Refusal::from))?.state;
        let open: Vec<(HoldId, GenerationId)> = state.holds().map(|(id, hold)| (id, hold.generation_id)).collect();
        if open.is_empty() {
            return Ok(());
        }
        for (hold, generation) in open {
            end_one(write, context, ledger, hold, generation).await?;
        }
    }
    Err(CommandError::Conflict)
}

async fn end_one(
    write: &WriteSide,
    context: &CommandContext,
    ledger: LedgerId,
    hold_id: HoldId,
    generation: GenerationId,
) -> Result<(), UseCaseError> {
    let target = Target { id: generation.to_string(), subject: ledger.account };
    let load = async || {
        let loaded = write.path.load::<Generation>(&target.id).await;
        loaded.map(|loaded| loaded.state).map_err(|error| error.map(Refusal::from))
    };
    let command = match load().await?.status() {
        // A request that still comes finds its id closed.
        Status::New => Some(GenerationCommand::Abandon),
        Status::Queued | Status::Running => Some(GenerationCommand::Cancel),
        Status::Abandoned | Status::Succeeded | Status::Failed | Status::Cancelled => None,
    };
    if let Some(command) = command {
        match write.path.execute::<Generation>(&target, context, None, |_| command.clone()).await {
            // Refused: it ended, or was requested, in this moment. What it is now decides.
            Ok(_) | Err(CommandError::Refused(_)) => {}
            Err(error) => return Err(error.map(Refusal::from)),
        }
    }
    let job = load().await?;
    let (delivered, price) = (job.status() == Status::Succeeded, job.delivered_price());
    if matches!(job.status(), Status::Queued | Status::Running) {
        // Requested in this moment: the next round cancels it.
        return Ok(());
    }
    let ends = |now| {
        if delivered {
            CreditLedgerCommand::CaptureHold { hold_id, amount: price, now }
        } else {
            CreditLedgerCommand::VoidHold { hold_id, now }
        }
    };
    let of_ledger = Target { id: ledger.to_string(), subject: ledger.account };
    match write.path.execute::<CreditLedger>(&of_ledger, context, None, ends).await {
        Ok(_) | Err(CommandError::Refused(CreditLedgerError::HoldNotOpen)) => Ok(()),
        Err(error) => Err(error.map(Refusal::from)),
    }
}
