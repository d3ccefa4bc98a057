//! `confirmAccountDeletion`: the second step (A36, U24). From its answer on nobody is in the account any more; the rest is work that follows.
//!
//! What happens when the process dies: after the rows, keys and sessions are dead and the account stands; its owner signs in and confirms
//! again. After the event, `AccountDeletion` takes the account apart, however often somebody dies on the way (see `erasure`).

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand};
use atelier_vault::credential_rows::claims::{self, ClaimState};
use atelier_vault::credential_rows::deletion_offers;
use atelier_vault::{IndexKind, MailToken};

use crate::command_path::CommandContext;
use crate::erasure;
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// Deletes an account, for ever.
#[derive(Clone)]
pub struct ConfirmAccountDeletion {
    /// Whose.
    pub account: AccountId,
    /// The token of the offer.
    pub token: String,
    /// The handle, typed out: nobody deletes an account by a slip of the finger (U24).
    pub username: String,
}

impl ConfirmAccountDeletion {
    /// Runs the use case; the answer is the position of the request. A repeat changes nothing.
    ///
    /// # Errors
    /// `invalid_token` when it is not the offer's, or its time is over; `invalid_field` for another handle.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let refused =
            || Refusal::new(RefusalCode::InvalidToken, "This confirmation is not valid any more; ask for a new one.");
        let token = MailToken::parse(&self.token).map_err(|_| refused())?;
        let digest = write.secrets.mail(&token);
        if !deletion_offers::is_offered(&write.pool, self.account, &digest, write.now()).await? {
            return Err(refused().into());
        }
        let folded = self.username.to_ascii_lowercase();
        let claim = claims::find(&write.pool, &write.blind_index.digest(IndexKind::Username, &folded)).await?;
        if claim.is_none_or(|claim| claim.account != self.account || claim.state == ClaimState::Released) {
            return Err(Refusal::field("username", "username must be your own, typed out").into());
        }
        erasure::lock_out(write, self.account).await?;
        let request = |_| AccountCommand::RequestDeletion;
        let executed = write.path.execute::<Account>(&account_target(self.account), context, None, request).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
