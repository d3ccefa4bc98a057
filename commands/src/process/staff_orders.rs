//! What follows an order of staff: the rows, the mail that proves another address, and the lost second factor that goes off.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, Role, StaffOrder, Status};
use atelier_domain::text::StaffReason;
use atelier_vault::Opened;
use atelier_vault::credential_rows::mail_tokens;
use chrono::{DateTime, Utc};

use super::work::WorkError;
use super::{Work, enqueue};
use crate::command_path::{CommandContext, CommandError};
use crate::use_cases::second_factor::turn_off_by_staff;
use crate::use_cases::settle_account;
use crate::write_side::{WriteSide, account_target};

fn failed(error: impl std::fmt::Display) -> WorkError {
    WorkError::Command(error.to_string())
}

/// The rows first, then the mail: a link that is void because it was made before the change is never the new address's.
pub(super) async fn settle(
    write: &WriteSide,
    account: AccountId,
    new_address: Option<DateTime<Utc>>,
    id: &str,
) -> Result<(), WorkError> {
    settle_account::settle(write, account).await.map_err(failed)?;
    let Some(decided_at) = new_address else { return Ok(()) };
    mail_tokens::void_before(&write.pool, account, decided_at).await.map_err(failed)?;
    enqueue(&write.pool, &format!("{id}:mail"), &Work::SendVerificationMail { account }).await.map_err(failed)
}

/// Turns a second factor off in the name of whoever asked for it. The account knows whether it is due and was not stopped.
pub(super) async fn turn_two_factor_off(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
) -> Result<(), WorkError> {
    let state = write.path.load::<Account>(&account.to_string()).await.map_err(failed)?.state;
    let Some(reset) = state.two_factor_reset().filter(|_| state.status() == Status::Open) else { return Ok(()) };
    if !still_in_office(write, reset.staff, &state).await? {
        let stop = |_| AccountCommand::StopTwoFactorReset;
        return match write.path.execute::<Account>(&account_target(account), context, None, stop).await {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(error) => Err(failed(error)),
        };
    }
    let Some(sealed) = &reset.reason else { return Ok(()) };
    let reason = match write.vault.open(account, "reason", sealed).await.map_err(failed)? {
        Opened::Text(reason) => StaffReason::stored(reason),
        Opened::Erased => return Ok(()),
    };
    let order = StaffOrder { staff: reset.staff, reason };
    match turn_off_by_staff(write, context, account, order).await {
        Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Whether whoever asked could ask it today: what a withdrawn role has begun goes no further, and an account that was given a role
/// meanwhile is for admins. The operator at the console always could.
async fn still_in_office(write: &WriteSide, staff: Option<AccountId>, owner: &Account) -> Result<bool, WorkError> {
    let Some(staff) = staff else { return Ok(true) };
    let asked = write.path.load::<Account>(&staff.to_string()).await.map_err(failed)?.state;
    let helps = asked.has_role(Role::Admin) || (asked.has_role(Role::Support) && owner.roles().is_empty());
    Ok(asked.status() == Status::Open && helps)
}
