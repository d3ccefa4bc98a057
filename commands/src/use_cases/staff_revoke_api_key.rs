//! `staffRevokeApiKey`: a key is revoked for ever, on the very next call (A13, V30).
//!
//! What happens when the process dies: see `settle_account`.

use atelier_domain::account::StaffCommand;
use atelier_domain::{AccountId, ApiKeyId};

use super::staff_desk::Desk;
use super::staff_orders::carry_out;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// Revokes a key of an account.
#[derive(Clone)]
pub struct StaffRevokeApiKey {
    /// Who asks.
    pub desk: Desk,
    /// Whose account.
    pub account: AccountId,
    /// Which.
    pub key: ApiKeyId,
    /// Why; the account's owner can read it.
    pub reason: String,
}

impl StaffRevokeApiKey {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `invalid_field`, `rate_limited`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let (state, order) = self.desk.opens(write, self.account, &self.reason).await?;
        if !state.has_api_key(&self.key) {
            return Err(Refusal::new(RefusalCode::NotFound, "There is no such API key.").into());
        }
        let command = |_| StaffCommand::RevokeApiKey { key_id: self.key };
        Ok(carry_out(write, context, self.account, &order, command).await?.0)
    }
}
