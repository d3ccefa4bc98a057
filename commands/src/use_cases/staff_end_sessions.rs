//! `staffEndSessions`: one session of an account, or all of them, end on the very next request (A13).
//!
//! What happens when the process dies: see `settle_account`.

use atelier_domain::account::StaffCommand;
use atelier_domain::{AccountId, Reason, SessionId};

use super::staff_desk::{Desk, reasoned};
use super::staff_orders::carry_out;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, together};
use crate::write_side::WriteSide;

/// Ends sessions of an account.
#[derive(Clone)]
pub struct StaffEndSessions {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: Named<AccountId>,
    /// Which; all of them when none is named.
    pub session: Option<Named<SessionId>>,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffEndSessions {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let (account, session, reason) = together((self.account, self.session.transpose(), reasoned(&self.reason)))?;
        let (state, order) = self.desk.opens(write, account, reason).await?;
        if session.is_some_and(|session| !state.has_session(&session)) {
            return Err(Refusal::coded(
                RefusalCode::NotFound,
                "session_id",
                Reason::Unknown,
                "There is no such session.",
            )
            .into());
        }
        let command = |_| match session {
            Some(session_id) => StaffCommand::EndSession { session_id },
            None => StaffCommand::EndSessions,
        };
        Ok(carry_out(write, context, account, &order, command).await?.0)
    }
}
