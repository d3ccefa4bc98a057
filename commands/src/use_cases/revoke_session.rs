//! `revokeSession` and `signOut`: a session stops counting on the very next request (A34, V10).
//!
//! The row first, then the event: a crash in between leaves a dead session whose event the reconciler appends.

use atelier_domain::account::{Account, AccountCommand, SessionEnd};
use atelier_domain::{AccountId, Reason, SessionId};
use atelier_vault::credential_rows::sessions;

use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Ends a session.
#[derive(Debug, Clone, Copy)]
pub struct RevokeSession {
    /// Whose.
    pub account: AccountId,
    /// The session.
    pub session: SessionId,
    /// Signed out, or revoked from elsewhere.
    pub reason: SessionEnd,
}

impl RevokeSession {
    /// Runs the use case; the answer is the position to read from. A repeat changes nothing.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        if !sessions::revoke(&write.pool, self.account, self.session).await? {
            return Err(Refusal::coded(
                RefusalCode::NotFound,
                "session_id",
                Reason::Unknown,
                "There is no such session.",
            )
            .into());
        }
        let command = |_| AccountCommand::EndSession { session_id: self.session, reason: self.reason };
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
