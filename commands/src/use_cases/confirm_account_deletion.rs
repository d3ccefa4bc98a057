//! `confirmAccountDeletion`: the second step (A36, U24). From its answer on nobody is in the account any more; the rest is work that follows.
//!
//! What happens when the process dies: after the rows, keys and sessions are dead and the account stands; its owner signs in and confirms
//! again. After the event, `AccountDeletion` takes the account apart, however often somebody dies on the way (see `erasure`).

use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::{AccountId, Invalid, Reason};
use atelier_vault::credential_rows::claims::{self, ClaimState};
use atelier_vault::credential_rows::deletion_offers;
use atelier_vault::{IndexKind, MailToken};

use crate::command_path::CommandContext;
use crate::erasure;
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, together};
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
        together((self.offered(write).await?, self.typed_out(write).await?))?;
        erasure::lock_out(write, self.account).await?;
        let request = |_| AccountCommand::RequestDeletion;
        let executed =
            write.path.execute::<Account>(&account_target(self.account), context, context.key(), request).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }

    async fn offered(&self, write: &WriteSide) -> Result<Result<(), Refusal>, UseCaseError> {
        let offered = match MailToken::parse(&self.token) {
            Ok(token) => {
                let digest = write.secrets.mail(&token);
                deletion_offers::is_offered(&write.pool, self.account, &digest, write.now()).await?
            }
            Err(_) => false,
        };
        let message = "This confirmation is not valid any more; ask for a new one.";
        let refusal = || Refusal::coded(RefusalCode::InvalidToken, "token", Reason::Wrong, message);
        Ok(if offered { Ok(()) } else { Err(refusal()) })
    }

    async fn typed_out(&self, write: &WriteSide) -> Result<Result<(), Refusal>, UseCaseError> {
        let folded = self.username.to_ascii_lowercase();
        let claim = claims::find(&write.pool, &write.blind_index.digest(IndexKind::Username, &folded)).await?;
        let own = claim.is_some_and(|claim| claim.account == self.account && claim.state != ClaimState::Released);
        let invalid = || Invalid::new(Reason::Wrong, "must be your own, typed out");
        Ok(if own { Ok(()) } else { Err(Refusal::value("username", invalid())) })
    }
}
