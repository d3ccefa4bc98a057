//! `revokeOtherSessions` and `revokeAllSessions`: every session of an account but perhaps one stops counting on the very next request
//! (V10).
//!
//! The rows first, in one statement, then the events in one append: a crash in between leaves dead sessions whose events the
//! reconciler appends.

use atelier_domain::account::{Account, AccountCommand, AccountEvent, SessionEnd};
use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::sessions;

use crate::command_path::{CommandContext, Executed};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Ends the sessions of an account.
#[derive(Debug, Clone, Copy)]
pub struct RevokeSessions {
    /// Whose.
    pub account: AccountId,
    /// The one that goes on, if any.
    pub except: Option<SessionId>,
    /// Why.
    pub reason: SessionEnd,
}

impl RevokeSessions {
    /// Runs the use case; the answer is the position to read from. A repeat changes nothing.
    ///
    /// # Errors
    /// `not_found` when the account is not open.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        sessions::revoke_all(&write.pool, self.account, self.except).await?;
        let command = |_| AccountCommand::EndSessions { except: self.except, reason: self.reason };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        let executed = executed.map_err(|error| error.map(Refusal::from))?;
        end_rows(write, self.account, &executed).await?;
        Ok(executed.position())
    }
}

/// Ends the rows of the sessions that were just ended in the log: one that began after the other rows had ended is among them.
///
/// # Errors
/// When the database failed.
pub(super) async fn end_rows(
    write: &WriteSide,
    account: AccountId,
    executed: &Executed<Account>,
) -> Result<(), UseCaseError> {
    let Executed::Done { events, .. } = executed else { return Ok(()) };
    for event in events {
        if let AccountEvent::SessionEnded { session_id, .. } = event {
            sessions::revoke(&write.pool, account, *session_id).await?;
        }
    }
    Ok(())
}
