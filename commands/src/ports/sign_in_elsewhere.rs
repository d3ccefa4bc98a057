//! The port of a provider that vouches for people: OpenID Connect, with the code flow and PKCE (A16, sec.O1).

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a browser leaves with, and comes back by. All three belong to that browser alone.
#[derive(Clone, Copy)]
pub struct Departure<'a> {
    /// Comes back through the browser.
    pub state: &'a str,
    /// Comes back inside the provider's word.
    pub nonce: &'a str,
    /// PKCE's verifier; only its digest leaves with the browser.
    pub verifier: &'a str,
}

/// What the provider is asked to do before it sends the browser back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    /// Nothing: a browser that is signed in there may come straight back.
    AsItLikes,
    /// Show a page, so that the person sees that a sign-in goes on and can stop it.
    Shown,
    /// Have the person sign in again, whatever session the browser has there.
    SignInAgain,
}

/// Who somebody is, by the provider's signed word.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenIdentity {
    /// The provider's own name for the person; never an address.
    pub subject: String,
    /// An address, if the provider tells one.
    pub email: Option<String>,
    /// Whether the provider has verified it.
    pub email_verified: bool,
    /// When the person signed in there, if the provider tells.
    pub authenticated_at: Option<DateTime<Utc>>,
}

/// Why nobody was vouched for. Nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElsewhereError {
    /// The provider cannot be reached or does not answer as one; it may later.
    #[error("the provider is unavailable: {0}")]
    Unavailable(&'static str),
    /// The code was refused, or the provider's word does not hold.
    #[error("the provider's word does not hold: {0}")]
    Refused(&'static str),
}

/// A provider that vouches for people.
#[async_trait]
pub trait SignInElsewhere: Send + Sync + 'static {
    /// Who signs its word: with the subject, what an identity is.
    fn issuer(&self) -> &str;

    /// Where the browser goes.
    ///
    /// # Errors
    /// When the provider cannot be reached.
    async fn authorization_url(
        &self,
        departure: Departure<'_>,
        interaction: Interaction,
    ) -> Result<String, ElsewhereError>;

    /// Who came back with a code: exchanged, and the signed word checked in every part.
    ///
    /// # Errors
    /// When the provider cannot be reached, refuses the code, or its word does not hold.
    async fn identify(&self, code: &str, departure: Departure<'_>) -> Result<ProvenIdentity, ElsewhereError>;
}
