//! Google's sign-in, as a deployment sets it up: a client of its console, and this server's address to come back to.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use atelier_commands::ports::{Clock, GatewayError, SignInElsewhere};
use atelier_gateways::{GOOGLE_ISSUER, OidcClient, OidcProvider};
use clap::Args;

/// A secret of the configuration: never printed.
#[derive(Clone, Default)]
pub struct Unprinted(pub String);

impl FromStr for Unprinted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unprinted(..)")
    }
}

/// Who we are to Google; without a client id nobody signs in with it.
#[derive(Debug, Clone, Default, Args)]
pub struct GoogleConfig {
    /// Who signs people in by OpenID Connect; Google when not given.
    #[arg(long = "oidc-issuer", env = "ATELIER_OIDC_ISSUER")]
    pub issuer: Option<String>,

    /// This studio's client id there. `<public url>/auth/google/callback` is the address to allow.
    #[arg(long = "oidc-client-id", env = "ATELIER_OIDC_CLIENT_ID")]
    pub client_id: Option<String>,

    /// Its secret there.
    #[arg(long = "oidc-client-secret", env = "ATELIER_OIDC_CLIENT_SECRET", hide_env_values = true)]
    pub client_secret: Option<Unprinted>,
}

impl GoogleConfig {
    /// The provider, if there is a client id.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn provider(
        &self,
        public_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn SignInElsewhere>>, GatewayError> {
        let Some(client_id) = self.client_id.clone().filter(|id| !id.is_empty()) else { return Ok(None) };
        let client = OidcClient {
            issuer: self.issuer.clone().unwrap_or_else(|| GOOGLE_ISSUER.to_owned()),
            client_id,
            client_secret: self.client_secret.clone().unwrap_or_default().0,
            redirect_url: format!("{public_url}/auth/google/callback"),
        };
        Ok(Some(Arc::new(OidcProvider::new(client, clock)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let config = GoogleConfig { client_secret: Some(Unprinted("hush".into())), ..GoogleConfig::default() };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
