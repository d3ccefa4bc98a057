//! The port of a provider that vouches for people: OpenID Connect, with the code flow and PKCE (A16, sec.O1).

use async_trait::async_trait;

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

/// Who somebody is, by the provider's signed word.
#[derive(Clone, PartialEq, Eq)]
pub struct ProvenIdentity {
    /// The provider's own name for the person; never an address.
    pub subject: String,
    /// An address, if the provider tells one.
    pub email: Option<String>,
    /// Whether the provider has verified it.
    pub email_verified: bool,
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
    async fn authorization_url(&self, departure: Departure<'_>) -> Result<String, ElsewhereError>;

    /// Who came back with a code: exchanged, and the signed word checked in every part.
    ///
    /// # Errors
    /// When the provider cannot be reached, refuses the code, or its word does not hold.
    async fn identify(&self, code: &str, departure: Departure<'_>) -> Result<ProvenIdentity, ElsewhereError>;
}
