//! OpenID Connect, as a client: discovery, the code flow with PKCE, and every check of the ID token (A16, sec.O1).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atelier_commands::ports::{
    Clock, Departure, ElsewhereError, GatewayError, Interaction, ProvenIdentity, SignInElsewhere,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm,
    CoreProviderMetadata,
};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Google, as an issuer.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// How long a request to the provider may take; a sign-in makes three at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes; Google's are a few KiB.
const LARGEST_ANSWER: usize = 256 * 1024;
/// How far the provider's clock may be from ours, in seconds, in both directions: a token is made for the exchange that brings it.
const SKEW: i64 = 300;
/// The longest name of a person there, in bytes (OpenID Connect Core 2).
const LONGEST_SUBJECT: usize = 255;
/// How long the provider's addresses and keys are believed.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// How soon they are asked for again when a token names a key that is not among them.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// Who we are to the provider.
#[derive(Clone)]
pub struct OidcClient {
    /// The provider.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: String,
    /// Where browsers come back to.
    pub redirect_url: String,
}

/// A provider that speaks OpenID Connect.
pub struct OidcProvider {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect_url: RedirectUrl,
    http: Http,
    clock: Arc<dyn Clock>,
    /// What the provider says of itself, and when it said so. Held while asking: many at once ask once.
    known: Mutex<Option<(Instant, Arc<CoreProviderMetadata>)>>,
}

/// Whether an address may carry secrets: encrypted, or this machine's own.
fn is_private(url: &str) -> bool {
    url.starts_with("https://")
        || ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|own| url.starts_with(own))
}

/// Requests to the provider: bounded in time and size, and never in the clear.
struct Http(reqwest::Client);

impl Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, io::Error> {
        let request = reqwest::Request::try_from(request).map_err(io::Error::other)?;
        if !is_private(request.url().as_str()) {
            return Err(io::Error::other("an address of the provider is not encrypted"));
        }
        let mut response = self.0.execute(request).await.map_err(io::Error::other)?;
        let mut answer = openidconnect::http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            answer = answer.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(io::Error::other)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(io::Error::other("an answer of the provider is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        answer.body(body).map_err(io::Error::other)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, io::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn cannot(what: &str) -> GatewayError {
    GatewayError::Refused(format!("the OpenID provider cannot be used: {what}"))
}

impl OidcProvider {
    /// A client of a provider; nothing is asked of it yet.
    ///
    /// # Errors
    /// When an address is malformed, or would carry secrets over a network in the clear.
    pub fn new(client: OidcClient, clock: Arc<dyn Clock>) -> Result<Self, GatewayError> {
        let OidcClient { issuer, client_id, client_secret, redirect_url } = client;
        if !is_private(&issuer) {
            return Err(cannot("its issuer must begin with https://"));
        }
        // Roots that are built in, ring, no redirects: what the provider answers cannot send us anywhere.
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|_| cannot("TLS is not available"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .build()
            .map_err(|_| cannot("no HTTP client"))?;
        Ok(Self {
            issuer: IssuerUrl::new(issuer).map_err(|_| cannot("its issuer is no address"))?,
            client_id: ClientId::new(client_id),
            client_secret: ClientSecret::new(client_secret),
            redirect_url: RedirectUrl::new(redirect_url).map_err(|_| cannot("the address to come back to is none"))?,
            http: Http(http),
            clock,
            known: Mutex::new(None),
        })
    }

    /// What the provider says of itself, at most so old.
    async fn metadata(&self, oldest: Duration) -> Result<Arc<CoreProviderMetadata>, ElsewhereError> {
        let mut known = self.known.lock().await;
        if let Some((asked, metadata)) = known.as_ref()
            && asked.elapsed() < oldest
        {
            return Ok(metadata.clone());
        }
        let asked = Instant::now();
        let metadata =
            CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await.map_err(|error| {
                tracing::warn!(%error, "an OpenID provider could not be asked");
                ElsewhereError::Unavailable("discovery failed")
            })?;
        let metadata = Arc::new(metadata);
        *known = Some((asked, metadata.clone()));
        Ok(metadata)
    }

    async fn id_token(&self, code: &str, departure: Departure<'_>) -> Result<CoreIdToken, ElsewhereError> {
        let metadata = self.metadata(BELIEVED).await?;
        let client = CoreClient::from_provider_metadata(
            CoreProviderMetadata::clone(&metadata),
            self.client_id.clone(),
            Some(self.client_secret.clone()),
        )
        .set_redirect_uri(self.redirect_url.clone());
        let exchange = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| ElsewhereError::Unavailable("the provider has no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(departure.verifier.to_owned()));
        // What the provider says may quote what was sent: none of it goes into a log.
        let answer = exchange.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => ElsewhereError::Refused("the code was refused"),
            RequestTokenError::Request(_) => ElsewhereError::Unavailable("the token endpoint did not answer"),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                ElsewhereError::Refused("no token could be read")
            }
        })?;
        answer.id_token().cloned().ok_or(ElsewhereError::Refused("no ID token came"))
    }

    /// The prompt that makes the provider show a page. Google documents no `login`, and answers an unknown value with an error.
    fn prompt(&self) -> CoreAuthPrompt {
        if self.issuer.as_str() == GOOGLE_ISSUER { CoreAuthPrompt::SelectAccount } else { CoreAuthPrompt::Login }
    }

    fn verifier(&self, metadata: &CoreProviderMetadata) -> CoreIdTokenVerifier<'static> {
        let clock = self.clock.clone();
        // A verifier without our secret: a token signed with it proves nothing, whatever its header says.
        CoreIdTokenVerifier::new_public_client(self.client_id.clone(), self.issuer.clone(), metadata.jwks().clone())
            .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256])
            .set_time_fn(move || clock.now())
    }
}

/// Why a token does not hold, in words without what was in it.
const fn broken(error: &ClaimsVerificationError) -> &'static str {
    match error {
        ClaimsVerificationError::Expired(_) => "expired",
        ClaimsVerificationError::InvalidAudience(_) => "another audience",
        ClaimsVerificationError::InvalidIssuer(_) => "another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "another nonce",
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => "an unknown key",
        ClaimsVerificationError::SignatureVerification(_) => "the signature",
        _ => "malformed",
    }
}

/// `nbf` of a verified token (RFC 7519, 4.1.5), which is none of OpenID Connect's own claims: when it is there, it has come.
fn not_before(token: &str, now: i64) -> Result<(), ElsewhereError> {
    #[derive(serde::Deserialize)]
    struct Times {
        nbf: Option<f64>,
    }
    let malformed = ElsewhereError::Refused("malformed");
    let Some(payload) = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()) else {
        return Err(malformed);
    };
    let Ok(Times { nbf }) = serde_json::from_slice(&payload) else { return Err(malformed) };
    // Whole seconds of the clock are exact as f64.
    #[allow(clippy::cast_precision_loss)]
    let latest = (now + SKEW) as f64;
    if nbf.is_some_and(|nbf| nbf > latest) { Err(ElsewhereError::Refused("not valid yet")) } else { Ok(()) }
}

#[async_trait]
impl SignInElsewhere for OidcProvider {
    fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    async fn authorization_url(
        &self,
        departure: Departure<'_>,
        interaction: Interaction,
    ) -> Result<String, ElsewhereError> {
        let metadata = self.metadata(BELIEVED).await?;
        let client = CoreClient::from_provider_metadata(
            CoreProviderMetadata::clone(&metadata),
            self.client_id.clone(),
            Some(self.client_secret.clone()),
        )
        .set_redirect_uri(self.redirect_url.clone());
        let (state, nonce) = (CsrfToken::new(departure.state.to_owned()), Nonce::new(departure.nonce.to_owned()));
        let verifier = PkceCodeVerifier::new(departure.verifier.to_owned());
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if interaction != Interaction::AsItLikes {
            request = request.add_prompt(self.prompt());
        }
        if interaction == Interaction::SignInAgain {
            // A provider that follows it has the person sign in again, and says when in `auth_time` (OpenID Connect Core 3.1.2.1).
            request = request.set_max_age(Duration::ZERO);
        }
        let (url, _, _) = request.url();
        Ok(url.into())
    }

    async fn identify(&self, code: &str, departure: Departure<'_>) -> Result<ProvenIdentity, ElsewhereError> {
        let token = self.id_token(code, departure).await?;
        let raw = token.to_string();
        let nonce = Nonce::new(departure.nonce.to_owned());
        let metadata = self.metadata(BELIEVED).await?;
        let mut claims = token.clone().into_claims(&self.verifier(&metadata), &nonce);
        if let Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) = claims {
            // The provider may have new keys since.
            let metadata = self.metadata(ASKED_AGAIN).await?;
            claims = token.into_claims(&self.verifier(&metadata), &nonce);
        }
        let claims = claims.map_err(|error| ElsewhereError::Refused(broken(&error)))?;
        let now = self.clock.now().timestamp();
        if (claims.issue_time().timestamp() - now).abs() > SKEW {
            return Err(ElsewhereError::Refused("made at another time"));
        }
        // Whom the token was made for, where it says so (OpenID Connect Core 3.1.3.7, 4 and 5); the library leaves it to us.
        if claims.authorized_party().is_some_and(|party| *party != self.client_id) {
            return Err(ElsewhereError::Refused("another authorized party"));
        }
        not_before(&raw, now)?;
        let subject = claims.subject().as_str();
        if subject.trim().is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(ElsewhereError::Refused("nobody's name"));
        }
        Ok(ProvenIdentity {
            subject: subject.to_owned(),
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified() == Some(true),
            authenticated_at: claims.auth_time(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_secrets_go_over_tls_or_nowhere() {
        for good in ["https://accounts.google.com", "http://127.0.0.1:1234", "http://localhost:1234"] {
            assert!(is_private(good), "{good}");
        }
        for bad in
            ["http://accounts.google.com", "http://127.0.0.1.example.com", "http://localhost.example.com:1", "ftp://x"]
        {
            assert!(!is_private(bad), "{bad}");
        }
    }

    #[test]
    fn o1_a_token_counts_from_its_first_moment_on() {
        let token = |claims: &str| format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims));
        for (claims, good) in [
            ("{}", true),
            (r#"{"nbf": 1000}"#, true),
            (r#"{"nbf": 1300}"#, true),
            (r#"{"nbf": 1299.5}"#, true),
            (r#"{"nbf": 1301}"#, false),
            (r#"{"nbf": 1e300}"#, false),
            (r#"{"nbf": "soon"}"#, false),
            ("[]", false),
        ] {
            assert_eq!(not_before(&token(claims), 1_000).is_ok(), good, "{claims}");
        }
    }
}
