//! `staffResetTwoFactor`: somebody has lost their second factor. It goes off after a day, of which its owner is told at once, with a way
//! to say no (U36). Whoever passes the second factor meanwhile has not lost it: that stops it, too.
//!
//! What happens when the process dies: before the append, nothing; after it, `StaffFollower` asks for the mail and for the timer, which
//! live in the database and fire after any restart. The account itself knows when it is due, and decides.

use atelier_domain::AccountId;
use atelier_domain::account::StaffCommand;
use atelier_domain::policy::account::TWO_FACTOR_RESET_AFTER_ADDRESS;
use chrono::{DateTime, Utc};

use super::address_history;
use super::staff_desk::{Desk, reasoned, state};
use super::staff_orders::append;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, together};
use crate::write_side::WriteSide;

/// Asks for a lost second factor to be turned off.
#[derive(Clone)]
pub struct StaffResetTwoFactor {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: Named<AccountId>,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffResetTwoFactor {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`; `not_possible_now` when it is off, a reset waits already, or the address
    /// is not proven or was changed within seven days: who has the new one would be the only one asked.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<ResetRequested, UseCaseError> {
        let (account, reason) = together((self.account, reasoned(&self.reason)))?;
        let (owner, order) = self.desk.opens(write, account, reason).await?;
        if !owner.email_verified() {
            let message = "The address is not proven: its owner could not be asked.";
            return Err(Refusal::new(RefusalCode::NotPossibleNow, message).into());
        }
        let settled = write.now() - TWO_FACTOR_RESET_AFTER_ADDRESS;
        if address_history::last_change(write, account).await?.is_some_and(|changed| changed > settled) {
            let message = "The address was changed less than seven days ago: its owner may not know it yet.";
            return Err(Refusal::new(RefusalCode::NotPossibleNow, message).into());
        }
        // Decided on the address that was looked at: it may change in between.
        let address = owner.email().cloned();
        let command = |now| StaffCommand::RequestTwoFactorReset { address: address.clone(), now };
        let (position, _) = append(write, context, account, &order, command).await?;
        Ok(ResetRequested { position, due_at: due_at(write, account).await? })
    }
}

/// When a second factor goes off whose reset was asked for; none when no reset waits.
///
/// # Errors
/// When the log cannot be read.
pub async fn due_at(write: &WriteSide, account: AccountId) -> Result<Option<DateTime<Utc>>, UseCaseError> {
    Ok(state(write, account).await?.two_factor_reset().map(|reset| reset.due_at))
}

/// A reset that waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetRequested {
    /// The position to read from.
    pub position: Position,
    /// When the factor goes off; none when its owner has said no already.
    pub due_at: Option<DateTime<Utc>>,
}
