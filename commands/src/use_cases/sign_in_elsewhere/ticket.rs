//! What a client carries from its return to its sign-up, sealed: who Google says it is. Used up by the identity that it claims.

use atelier_domain::text::Email;
use atelier_vault::{IdentityDigest, Ticket as Kind};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{google, not_valid, written};
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// How long a ticket to sign up with counts.
const LIFE: TimeDelta = TimeDelta::minutes(30);

/// A ticket to sign up with.
#[derive(Serialize, Deserialize)]
pub(in crate::use_cases) struct Ticket {
    pub(in crate::use_cases) subject: String,
    pub(in crate::use_cases) email: String,
    pub(in crate::use_cases) verified: bool,
    expires_at: DateTime<Utc>,
}

impl Ticket {
    /// A ticket for a proven identity that belongs to no account.
    pub(super) fn new(write: &WriteSide, subject: String, email: &Email, verified: bool) -> Self {
        Self { subject, email: email.as_ref().to_owned(), verified, expires_at: write.now() + LIFE }
    }

    /// The ticket as a client carries it.
    pub(super) fn sealed(&self, write: &WriteSide) -> Result<String, UseCaseError> {
        Ok(write.secrets.seal_ticket(Kind::SignUp, write.ports.random.as_ref(), &written(self)?))
    }

    /// A ticket of ours that still counts, with the identity it is for.
    pub(in crate::use_cases) fn open(write: &WriteSide, ticket: &str) -> Result<(Self, IdentityDigest), UseCaseError> {
        let google = google(write)?;
        let text = write.secrets.open_ticket(Kind::SignUp, ticket).ok_or_else(not_valid)?;
        let ticket: Self = serde_json::from_str(&text).map_err(|_| not_valid())?;
        if ticket.expires_at <= write.now() {
            return Err(not_valid());
        }
        let identity = write.blind_index.identity(google.issuer(), &ticket.subject);
        Ok((ticket, identity))
    }
}
