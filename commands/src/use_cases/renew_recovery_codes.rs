//! `renewRecoveryCodes`: ten new codes, and the old ones are void (U36, sec.T2).
//!
//! What happens when the process dies: after the event and before the rows, the old codes still count and nobody saw new ones; their
//! owner renews them again.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_vault::credential_rows::recovery_codes;

use super::confirm_two_factor::NewRecoveryCodes;
use super::second_factor::fresh_codes;
use crate::command_path::{CommandContext, Executed};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Makes new recovery codes. The caller has seen a fresh proof of who asks (sec.S7).
#[derive(Debug, Clone, Copy)]
pub struct RenewRecoveryCodes {
    /// Whose.
    pub account: AccountId,
}

impl RenewRecoveryCodes {
    /// Runs the use case. There are no codes in the answer to a repeat: they are not kept.
    ///
    /// # Errors
    /// `not_possible_now` when the factor is off.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<NewRecoveryCodes, UseCaseError> {
        let command = |_| AccountCommand::RenewRecoveryCodes;
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), command).await;
        let position = match executed.map_err(|error| error.map(Refusal::from))? {
            Executed::Done { position, .. } => position,
            // A twin of this request was faster: its codes are the ones, and it has shown them.
            Executed::Repeat { position, .. } => return Ok(NewRecoveryCodes { codes: Vec::new(), position }),
        };
        let (codes, digests) = fresh_codes(write, self.account);
        if !recovery_codes::renew(&write.pool, self.account, &digests).await? {
            return Err(Refusal::from(AccountError::TwoFactorOff).into());
        }
        Ok(NewRecoveryCodes { codes, position })
    }
}
