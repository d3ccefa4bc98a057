//! `requestAvatarUpload`: a ticket for one upload (A04). Only its digest is kept; a crash leaves a row that expires.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountError, Status};
use atelier_domain::policy::account::AVATAR_TICKET_LIFE;
use atelier_vault::UploadTicket;
use atelier_vault::credential_rows::avatar_tickets;
use chrono::{DateTime, Utc};

use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// Asks for a place to upload an avatar to.
#[derive(Debug, Clone, Copy)]
pub struct RequestAvatarUpload {
    /// Whose avatar.
    pub account: AccountId,
}

/// A place to upload to, once.
pub struct AvatarUpload {
    /// Where to `PUT` the file; holds the ticket, shown once.
    pub url: String,
    /// The ticket's end.
    pub expires_at: DateTime<Utc>,
}

impl RequestAvatarUpload {
    /// Runs the use case. An account has at most five tickets; the oldest gives way.
    ///
    /// # Errors
    /// `not_found` when the account is not open.
    pub async fn run(self, write: &WriteSide) -> Result<AvatarUpload, UseCaseError> {
        let loaded = write.path.load::<Account>(&self.account.to_string()).await;
        if loaded.map_err(|error| error.map(Refusal::from))?.state.status() != Status::Open {
            return Err(Refusal::from(AccountError::NotOpen).into());
        }
        let ticket = UploadTicket::generate(write.ports.random.as_ref());
        let now = write.now();
        let expires_at = now + AVATAR_TICKET_LIFE;
        avatar_tickets::insert(&write.pool, &write.secrets.upload(&ticket), self.account, now, expires_at).await?;
        let url = format!("{}/uploads/avatar/{}", write.public_url, ticket.expose());
        Ok(AvatarUpload { url, expires_at })
    }
}
