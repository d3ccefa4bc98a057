//! `confirmTwoFactor`: the authenticator's first right code turns the factor on and gives the recovery codes (V11, U36).
//!
//! What happens when the process dies: before the code is accepted, nothing; after it and before the event, the reconciler removes
//! the row, and nothing was on; after the event, sign-ins take codes, and the reconciler makes the row active. Its recovery codes
//! nobody saw; their owner, who has the authenticator, renews them.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_vault::RecoveryCode;
use atelier_vault::credential_rows::second_factor::{self, FactorState};

use super::second_factor::{fresh_codes, right_step, wrong};
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Turns the factor on.
#[derive(Clone)]
pub struct ConfirmTwoFactor {
    /// Whose.
    pub account: AccountId,
    /// The authenticator's code.
    pub code: String,
}

/// Recovery codes, for the one time they are shown.
pub struct NewRecoveryCodes {
    /// The codes.
    pub codes: Vec<RecoveryCode>,
    /// The position to read from.
    pub position: Position,
}

impl ConfirmTwoFactor {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_code`; `rate_limited` after too many wrong ones; `not_possible_now` when nothing was enrolled in the last hour.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<NewRecoveryCodes, UseCaseError> {
        let account = self.account;
        let (seed, step) = right_step(write, account, true, &self.code).await?;
        let (codes, digests) = fresh_codes(write, account);
        if !second_factor::confirm(&write.pool, account, &seed, step, &digests, write.now()).await? {
            return Err(wrong());
        }
        let command = |_| AccountCommand::EnableTwoFactor;
        let (confirming, pending) = (FactorState::Confirming, FactorState::Pending);
        match write.path.execute::<Account>(&account_target(account), context, None, command).await {
            Ok(executed) => {
                second_factor::shift(&write.pool, account, confirming, FactorState::Active, write.now()).await?;
                Ok(NewRecoveryCodes { codes, position: executed.position() })
            }
            Err(error) => {
                if matches!(error, CommandError::Refused(_) | CommandError::Conflict) {
                    second_factor::shift(&write.pool, account, confirming, pending, write.now()).await?;
                }
                Err(error.map(Refusal::from))
            }
        }
    }
}
