//! `disableTwoFactor`: with a code or a recovery code, signing in takes no code any more (V11).
//!
//! What happens when the process dies: the code is used up; then as `turn_off` says.

use atelier_domain::AccountId;
use atelier_domain::account::{AccountCommand, AccountError};

use super::second_factor::{is_on, turn_off, verify};
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// Turns the factor off. The caller has seen a fresh proof of who asks (sec.S7).
#[derive(Clone)]
pub struct DisableTwoFactor {
    /// Whose.
    pub account: AccountId,
    /// A code of the authenticator, or a recovery code.
    pub code: String,
}

impl DisableTwoFactor {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `not_possible_now` when it is off; `invalid_code`; `rate_limited` after too many wrong ones.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        if !is_on(write, self.account).await? {
            return Err(Refusal::from(AccountError::TwoFactorOff).into());
        }
        verify(write, context, self.account, &self.code).await?;
        turn_off(write, context, self.account, |_| AccountCommand::DisableTwoFactor).await
    }
}
