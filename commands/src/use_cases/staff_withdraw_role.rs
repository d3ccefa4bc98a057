//! `staffWithdrawRole` and `atelier staff remove`: an account has a role no more, from the very next request on. Its sessions end with it
//! (sec.S6). The last admin stays one: the mutations could never make another.
//!
//! What happens when the process dies: see `settle_account`. The lock ends with the process.

use atelier_domain::AccountId;
use atelier_domain::account::{Role, StaffCommand, StaffOrder, Status};
use atelier_domain::text::StaffReason;
use atelier_vault::credential_rows::staff_roles;

use super::staff_desk::{Desk, reasoned, state};
use super::staff_orders::carry_out;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::held_locks::HeldLock;
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, together};
use crate::write_side::WriteSide;

/// Withdraws a role.
#[derive(Clone)]
pub struct StaffWithdrawRole {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: Named<AccountId>,
    /// Which.
    pub role: Role,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffWithdrawRole {
    /// Runs the use case; the answer is the position to read from, and whether the account had it.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`; `not_possible_now` for the last admin, unless the operator at the console asks.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(Position, bool), UseCaseError> {
        let (account, reason) = together((self.account, reasoned(&self.reason)))?;
        let order = Withdrawal { desk: self.desk, account, role: self.role, reason };
        let lock = match self.role {
            Role::Admin => Some(HeldLock::take(write.locks.admins(), staff_roles::lock_admins(&write.pool)).await?),
            _ => None,
        };
        let done = order.carry_out(write, context).await;
        if let Some(lock) = lock {
            lock.give_back().await?;
        }
        done
    }
}

/// A request that was read.
struct Withdrawal {
    desk: Desk,
    account: AccountId,
    role: Role,
    reason: StaffReason,
}

impl Withdrawal {
    async fn carry_out(self, write: &WriteSide, context: &CommandContext) -> Result<(Position, bool), UseCaseError> {
        // Giving one's own role up is no help to oneself.
        let own = self.desk.staff() == Some(self.account) && self.role == Role::Admin;
        let desk = if own { self.desk.as_colleague() } else { self.desk };
        let (state, order) = desk.opens(write, self.account, self.reason).await?;
        let order = StaffOrder { staff: self.desk.staff(), ..order };
        let counts = self.role == Role::Admin && state.has_role(Role::Admin);
        if counts && self.desk.staff().is_some() && !another_admin(write, self.account).await? {
            let message = "This is the last admin; make another one first.";
            return Err(Refusal::new(RefusalCode::NotPossibleNow, message).into());
        }
        let command = |_| StaffCommand::WithdrawRole { role: self.role };
        carry_out(write, context, self.account, &order, command).await
    }
}

/// Whether somebody else is an admin: by their own state, because the rows that name them follow it. The caller has the lock, so that
/// two admins who withdraw each other come one after the other.
async fn another_admin(write: &WriteSide, account: AccountId) -> Result<bool, UseCaseError> {
    for holder in staff_roles::holders(&write.pool, Some(Role::Admin), None, staff_roles::MOST).await? {
        let admin = holder.account != account && {
            let state = state(write, holder.account).await?;
            state.status() == Status::Open && state.has_role(Role::Admin) && state.two_factor()
        };
        if admin {
            return Ok(true);
        }
    }
    Ok(false)
}
