//! A frontend that sends a browser to Google through us, as OAuth clients do: its address, its PKCE challenge, its state (RFC 6749 4.1.1,
//! RFC 7636 4.3); and the answers its browser is sent back with (RFC 6749 4.1.2).

use atelier_domain::{Invalid, Reason};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::command_path::CommandError;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, in_field, together};
use crate::return_address::ReturnAddress;
use crate::write_side::WriteSide;

/// The longest state of a client, in bytes.
const LONGEST_STATE: usize = 512;

/// What a frontend began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontend {
    address: ReturnAddress,
    challenge: String,
    state: Option<String>,
}

/// Why a browser comes back to its frontend without a code: names of RFC 6749, 4.1.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnError {
    /// A parameter is missing or malformed.
    InvalidRequest,
    /// Signing in with Google is not set up here.
    UnauthorizedClient,
    /// The person declined, or Google's answer did not pass the checks.
    AccessDenied,
    /// Google cannot be reached, this client began too often, or we are overloaded; it may work later.
    TemporarilyUnavailable,
    /// A fault of ours.
    ServerError,
}

impl ReturnError {
    /// The name, as it stands in the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// What a failure is to a frontend. The cause of a fault is logged.
    #[must_use]
    pub fn of(error: &UseCaseError) -> Self {
        match error {
            CommandError::Refused(refusal) => match refusal.code {
                RefusalCode::RateLimited => Self::TemporarilyUnavailable,
                RefusalCode::NotPossibleNow => Self::UnauthorizedClient,
                _ => Self::AccessDenied,
            },
            CommandError::Unavailable | CommandError::Conflict | CommandError::OutcomeUnknown => {
                Self::TemporarilyUnavailable
            }
            CommandError::KeyReused | CommandError::Erased | CommandError::Internal(_) => {
                tracing::error!(%error, "a sign-in with Google failed");
                Self::ServerError
            }
        }
    }
}

/// Whether a text is a client's state: 1 to 512 printable ASCII letters (RFC 6749 A.5).
fn is_state(state: &str) -> bool {
    (1..=LONGEST_STATE).contains(&state.len()) && state.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// The challenge and the state of a client, checked.
fn parameters(challenge: &str, state: Option<&str>) -> Result<(String, Option<String>), Refusal> {
    // An S256 challenge is the base64url form of 32 bytes.
    let is_challenge = URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|digest| digest.len() == 32);
    let no_challenge = || Invalid::new(Reason::Format, "must be a PKCE challenge by S256: 43 letters of base64url");
    let no_state = || Invalid::new(Reason::Format, "must have 1 to 512 printable ASCII characters");
    together((
        in_field("code_challenge", if is_challenge { Ok(challenge.to_owned()) } else { Err(no_challenge()) }),
        in_field("state", if state.is_none_or(is_state) { Ok(state.map(str::to_owned)) } else { Err(no_state()) }),
    ))
}

impl Frontend {
    /// A frontend, from what its client sent.
    ///
    /// # Errors
    /// `invalid_field` for each that is wrong.
    pub fn new(
        write: &WriteSide,
        redirect_uri: &str,
        code_challenge: &str,
        state: Option<&str>,
    ) -> Result<Self, Refusal> {
        let listed = write.access.return_addresses.find(redirect_uri);
        let unlisted = || Invalid::new(Reason::Unknown, "is not an address that this server is told of");
        let address = in_field("redirect_uri", listed.ok_or_else(unlisted));
        let (address, (challenge, state)) = together((address, parameters(code_challenge, state)))?;
        Ok(Self { address, challenge, state })
    }

    /// The same, with an address that was found already.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn at(address: ReturnAddress, code_challenge: &str, state: Option<&str>) -> Result<Self, Refusal> {
        let (challenge, state) = parameters(code_challenge, state)?;
        Ok(Self { address, challenge, state })
    }

    /// Whether it is an app on the person's device.
    pub(super) const fn is_app(&self) -> bool {
        self.address.is_app()
    }

    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// The address to send the browser to, with the code to redeem.
    pub(super) fn with_code(&self, code: &str) -> String {
        answer(&self.address, ("code", code), self.state.as_deref())
    }

    /// The address to send the browser to when there is no code.
    #[must_use]
    pub fn with_error(&self, error: ReturnError) -> String {
        answer(&self.address, ("error", error.as_str()), self.state.as_deref())
    }
}

/// The address of a frontend whose other parameters are wrong, with the error that says so.
#[must_use]
pub fn invalid_request(address: &ReturnAddress, state: Option<&str>) -> String {
    let state = state.filter(|state| is_state(state));
    answer(address, ("error", ReturnError::InvalidRequest.as_str()), state)
}

fn answer(address: &ReturnAddress, what: (&str, &str), state: Option<&str>) -> String {
    let parameters: Vec<_> = [what].into_iter().chain(state.map(|state| ("state", state))).collect();
    address.with(&parameters)
}

/// Whether a text could be a PKCE verifier: 43 to 128 unreserved letters (RFC 7636 4.1).
pub(super) fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// The S256 challenge of a verifier (RFC 7636 4.6).
pub(super) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_verifier(verifier));
        assert_eq!(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        for bad in ["", "short", &"a".repeat(42), &"a".repeat(129), &format!("{verifier}="), &format!("{verifier} ")] {
            assert!(!is_verifier(bad), "{bad}");
        }
    }

    #[test]
    fn a_state_is_printable_ascii() {
        for good in ["x", " ", "~", "a b&c=d#\"", &"x".repeat(512)] {
            assert!(is_state(good), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{e4}", "\u{7f}", &"x".repeat(513)] {
            assert!(!is_state(bad), "{bad:?}");
        }
    }
}
