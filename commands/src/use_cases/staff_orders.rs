//! What every order of staff has in common: the effect and its record in one append, then the rows, then the answer.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, StaffCommand, StaffOrder};
use chrono::{DateTime, Utc};

use super::settle_account::settle;
use crate::command_path::{CommandContext, Executed};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Appends an order. Says whether it changed anything, too: what changes nothing is not recorded.
pub(super) async fn append(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    order: &StaffOrder,
    command: impl Fn(DateTime<Utc>) -> StaffCommand + Send + Sync,
) -> Result<(Position, bool), UseCaseError> {
    let ordered = |now| AccountCommand::ByStaff { order: order.clone(), command: command(now) };
    let executed = write.path.execute::<Account>(&account_target(account), context, context.key(), ordered).await;
    let executed = executed.map_err(|error| error.map(Refusal::from))?;
    // A twin of this request has changed it.
    let changed = !matches!(&executed, Executed::Done { events, .. } if events.is_empty());
    Ok((executed.position(), changed))
}

/// Appends an order and makes the rows what the log then says.
pub(super) async fn carry_out(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    order: &StaffOrder,
    command: impl Fn(DateTime<Utc>) -> StaffCommand + Send + Sync,
) -> Result<(Position, bool), UseCaseError> {
    let done = append(write, context, account, order, command).await?;
    settle(write, account).await?;
    Ok(done)
}
