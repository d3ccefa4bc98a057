//! `staffRevokeApiKey`: a key is revoked for ever, on the very next call (A13, V30).
//!
//! What happens when the process dies: see `settle_account`.

use atelier_domain::account::StaffCommand;
use atelier_domain::{AccountId, ApiKeyId, Reason};

use super::staff_desk::{Desk, reasoned};
use super::staff_orders::carry_out;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, together};
use crate::write_side::WriteSide;

/// Revokes a key of an account.
#[derive(Clone)]
pub struct StaffRevokeApiKey {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: Named<AccountId>,
    /// Which.
    pub key: Named<ApiKeyId>,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffRevokeApiKey {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let (account, key, reason) = together((self.account, self.key, reasoned(&self.reason)))?;
        let (state, order) = self.desk.opens(write, account, reason).await?;
        if !state.has_api_key(&key) {
            return Err(Refusal::coded(
                RefusalCode::NotFound,
                "api_key_id",
                Reason::Unknown,
                "There is no such API key.",
            )
            .into());
        }
        let command = |_| StaffCommand::RevokeApiKey { key_id: key };
        Ok(carry_out(write, context, account, &order, command).await?.0)
    }
}
