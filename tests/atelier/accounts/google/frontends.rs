//! Google's sign-in for a frontend of another origin and for an app: a redirect with a one-time code, redeemed by its PKCE verifier.

mod addresses;
mod codes;
mod deaths;
mod linking;
mod proofs;
mod sign_in;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Browser, World, encoded, location, parameter};

/// Where the frontend of the tests gets its browsers back.
const CALLBACK: &str = "https://app.example.com/signed-in?from=google";
/// The app's.
const APP: &str = "com.example.app:/callback";
/// A person at the provider.
const ADA: &str = "ada-1,ada@example.com,true";

const COMPLETE: &str = "mutation($code: String!, $verifier: String!) { \
    completeGoogleSignIn(input: {code: $code, codeVerifier: $verifier}) { twoFactorRequired challenge session { id } token deviceToken \
    signUp { ticket email emailVerified suggestedUsername } userErrors { code field message } position } }";

/// A client of another origin: it keeps a verifier and a state, and has no cookie of the studio.
struct Client {
    verifier: String,
    state: String,
    address: &'static str,
}

impl Client {
    /// With a verifier of its own.
    fn new(name: &str) -> Self {
        Self { verifier: format!("{name}-{}", "v".repeat(50)), state: format!("{name} & state=1"), address: CALLBACK }
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()))
    }

    /// The path where its browser begins, as OAuth clients write it.
    fn start(&self) -> String {
        format!(
            "/auth/google/start?response_type=code&client_id=studio&redirect_uri={}&code_challenge={}&code_challenge_method=S256&state={}",
            encoded(self.address),
            self.challenge(),
            encoded(&self.state),
        )
    }

    /// What its mutations `linkGoogle` and `startGoogleReauthentication` take.
    fn asks(&self) -> Value {
        json!({ "redirectUri": self.address, "codeChallenge": self.challenge(), "state": self.state })
    }

    /// The address that a browser comes back to it with, after it went through the provider as somebody.
    async fn arrival(&self, browser: &mut Browser, start: &str, whom: &str) -> String {
        let address = leave(browser, start).await;
        let back = browser.through(&address, whom).await;
        let answer = browser.get(&back).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let headers = ["cache-control", "referrer-policy"].map(|name| answer.headers[name].to_str().expect("ASCII"));
        assert_eq!(headers, ["no-store", "no-referrer"]);
        assert_eq!(browser.session(), None, "the return has no effect");
        let arrived = location(&answer);
        let joint = if self.address.contains('?') { '&' } else { '?' };
        assert!(arrived.starts_with(&format!("{}{joint}", self.address)), "{arrived}");
        assert_eq!(decoded(&parameter(&arrived, "state")), self.state, "{arrived}");
        arrived
    }

    /// The code that a browser comes back to it with.
    async fn code(&self, world: &World, whom: &str) -> String {
        let arrived = self.arrival(&mut world.browser(), &self.start(), whom).await;
        parameter(&arrived, "code")
    }

    /// What it gets for a code.
    async fn redeems(&self, world: &World, code: &str) -> Value {
        let variables = json!({ "code": code, "verifier": self.verifier });
        world.studio.graphql(None, COMPLETE, variables).await["completeGoogleSignIn"].take()
    }
}

/// Begins where a client says; the provider's address.
async fn leave(browser: &mut Browser, start: &str) -> String {
    let answer = browser.get(start).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    location(&answer)
}

/// A form-encoded value.
fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().expect("two digits"), bytes.next().expect("two digits")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).expect("UTF-8")
}

/// Signs somebody up with Google; the session's token.
pub(super) async fn google_only(world: &World, name: &str) -> String {
    let client = Client::new(name);
    let whom = format!("{name}-1,{name}@example.com,true");
    let code = client.code(world, &whom).await;
    let answer = client.redeems(world, &code).await;
    let sign_up = "mutation($ticket: String!, $username: String!) { signUpWithGoogle(input: {ticket: $ticket, username: $username, \
        minimumAge: 20}) { token userErrors { code } } }";
    let variables = json!({ "ticket": answer["signUp"]["ticket"], "username": name });
    let opened = world.studio.mutate(None, sign_up, variables).await;
    opened["token"].as_str().expect("a session").to_owned()
}
