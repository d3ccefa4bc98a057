//! `staffViewAccount`: staff look at what only the owner sees; the look and its reason are recorded first (A13).
//!
//! What happens when the process dies: before the append, nothing; after it, a look is on record that nobody had.

use atelier_domain::AccountId;
use atelier_domain::account::StaffCommand;

use super::staff_desk::{Desk, Whom, find, reasoned};
use super::staff_orders::append;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Named, UseCaseError, together};
use crate::write_side::WriteSide;

/// Records that staff look at an account.
#[derive(Clone)]
pub struct StaffViewAccount {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub whom: Named<Whom>,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffViewAccount {
    /// Runs the use case; the answer is the account and the position to read from. Counted before anything is looked for, so that nobody
    /// tries addresses by it.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<(AccountId, Position), UseCaseError> {
        let (whom, reason) = together((self.whom, reasoned(&self.reason)))?;
        self.desk.count(write).await?;
        let account = find(write, &whom).await?;
        let (_, order) = self.desk.opens_for(write, account, reason).await?;
        let context = &CommandContext { key: context.key_with(&account), ..context.clone() };
        Ok((account, append(write, context, account, &order, |_| StaffCommand::View).await?.0))
    }
}
