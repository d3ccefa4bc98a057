//! `staffGrantRole` and `atelier staff add`: an account has a role from now on (sec.A2). Its sessions end in the same append, so that the
//! shorter idle limit and the rights begin with the next sign-in (U37, sec.S6).
//!
//! What happens when the process dies: see `settle_account`. A session that begins at the same moment is either ended by that append, or
//! sees the role when it is opened.

use atelier_domain::AccountId;
use atelier_domain::account::{AccountError, Role, StaffCommand};

use super::staff_desk::{Desk, reasoned};
use super::staff_orders::carry_out;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Named, Refusal, UseCaseError, together};
use crate::write_side::WriteSide;

/// Grants a role.
#[derive(Clone)]
pub struct StaffGrantRole {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: Named<AccountId>,
    /// Which.
    pub role: Role,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffGrantRole {
    /// Runs the use case; the answer is the position to read from, and whether the account did not have it already.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`; `email_not_verified`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(Position, bool), UseCaseError> {
        let (account, reason) = together((self.account, reasoned(&self.reason)))?;
        let (state, order) = self.desk.opens(write, account, reason).await?;
        // Whoever can be taken for the account by somebody else's address must not have a right.
        if !state.email_verified() {
            return Err(Refusal::from(AccountError::EmailNotVerified).into());
        }
        let command = |_| StaffCommand::GrantRole { role: self.role };
        carry_out(write, context, account, &order, command).await
    }
}
