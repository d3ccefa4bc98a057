//! `requestAccountDeletion`: the first of two steps (A36). Nothing is deleted; the answer says what would be, and carries what confirms it.
//!
//! What happens when the process dies: before the row, nothing; after it, an offer that nobody was shown, gone in a quarter of an hour.

use atelier_domain::account::{Account, Status};
use atelier_domain::credit_ledger::CreditLedger;
use atelier_domain::{AccountId, Credits, LedgerId};
use atelier_vault::MailToken;
use atelier_vault::credential_rows::deletion_offers;
use chrono::{DateTime, TimeDelta, Utc};

use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// How long the offer stands.
const OFFER_LIFE: TimeDelta = TimeDelta::minutes(15);

/// Asks what a deletion would take, and for the token that confirms it.
#[derive(Debug, Clone, Copy)]
pub struct RequestAccountDeletion {
    /// Whose.
    pub account: AccountId,
}

/// What a deletion would take (A38, A39).
#[derive(Debug, Clone)]
pub struct DeletionOffer {
    /// What confirms it; shown once.
    pub token: MailToken,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// Credits that would be forfeited.
    pub forfeited: Credits,
    /// Jobs that would be cancelled; their credits are forfeited with the rest.
    pub running_jobs: usize,
}

impl RequestAccountDeletion {
    /// Runs the use case. A later offer takes the place of an earlier one.
    ///
    /// # Errors
    /// `not_found` when there is no such account.
    pub async fn run(self, write: &WriteSide) -> Result<DeletionOffer, UseCaseError> {
        let owner = write.path.load::<Account>(&self.account.to_string()).await;
        if owner.map_err(|error| error.map(Refusal::from))?.state.status() != Status::Open {
            return Err(Refusal::new(RefusalCode::NotFound, "There is no such account.").into());
        }
        let ledger = write.path.load::<CreditLedger>(&LedgerId::live(self.account).to_string()).await;
        let ledger = ledger.map_err(|error| error.map(Refusal::from))?.state;
        let now = write.now();
        let token = MailToken::generate(write.ports.random.as_ref());
        let expires_at = now + OFFER_LIFE;
        deletion_offers::offer(&write.pool, self.account, &write.secrets.mail(&token), expires_at).await?;
        let forfeited = ledger.available(now).checked_add(ledger.held()).unwrap_or(Credits::MAX);
        Ok(DeletionOffer { token, expires_at, forfeited, running_jobs: ledger.holds().count() })
    }
}
