//! What the server key makes of the secrets of a sign-in: digests for rows, values derived from a browser's token, sealed tickets.

use atelier_domain::AccountId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::keyed_hash::keyed_hash;
use crate::passing_token::{Passing, PassingToken};
use crate::{RandomBytes, RecoveryCode, SecretDigest, SecretKey, Secrets, aead};

/// What is derived from the token of a browser that goes to another provider (sec.O1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    /// `state`: comes back through the browser.
    State,
    /// `nonce`: comes back inside the ID token.
    Nonce,
    /// PKCE's verifier: only we send it, to the token endpoint.
    Verifier,
}

impl Derived {
    const fn label(self) -> &'static str {
        match self {
            Self::State => "sign-in elsewhere: state",
            Self::Nonce => "sign-in elsewhere: nonce",
            Self::Verifier => "sign-in elsewhere: verifier",
        }
    }
}

/// What a ticket is bound to beside its key.
const TICKET: &[u8] = b"sign-up ticket 1";

impl Secrets {
    /// What is stored of a recovery code; bound to its account, so that no two accounts' rows can be compared.
    #[must_use]
    pub fn recovery_code(&self, account: AccountId, code: &RecoveryCode) -> SecretDigest {
        SecretDigest::of(keyed_hash(self.key(), "recovery code", &[account.0.as_bytes(), code.expose().as_bytes()]))
    }

    /// What is stored of a token of a sign-in under way.
    #[must_use]
    pub fn passing(&self, token: &PassingToken) -> SecretDigest {
        let label = match token.passing {
            Passing::Challenge => "sign-in challenge",
            Passing::Browser => "sign-in elsewhere: browser",
        };
        SecretDigest::of(keyed_hash(self.key(), label, &[token.expose().as_bytes()]))
    }

    /// What is stored of a `state` that came back.
    #[must_use]
    pub fn state(&self, state: &str) -> SecretDigest {
        SecretDigest::of(keyed_hash(self.key(), "sign-in elsewhere: stored state", &[state.as_bytes()]))
    }

    /// A value that belongs to a browser's token and tells nothing about it: 43 letters of base64url.
    #[must_use]
    pub fn derived(&self, from: &PassingToken, what: Derived) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(keyed_hash(self.key(), what.label(), &[from.expose().as_bytes()])))
    }

    fn ticket_key(&self) -> SecretKey {
        SecretKey::from_slice(&keyed_hash(self.key(), "ticket key", &[])).expect("a keyed hash has a key's length")
    }

    /// Seals what a client carries for us and may neither read nor change.
    #[must_use]
    pub fn seal_ticket(&self, random: &dyn RandomBytes, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(aead::encrypt(&self.ticket_key(), random, TICKET, text.as_bytes()))
    }

    /// Opens a ticket; `None` when it is not one of ours.
    #[must_use]
    pub fn open_ticket(&self, ticket: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let plain = aead::decrypt(&self.ticket_key(), TICKET, &sealed)?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Replayable, account};

    fn secrets(root: &tempfile::TempDir) -> Secrets {
        Secrets::open(root.path(), Replayable::new(5).as_ref()).unwrap()
    }

    #[test]
    fn t2_a_recovery_codes_digest_belongs_to_one_account() {
        let root = tempfile::tempdir().unwrap();
        let code = RecoveryCode::generate(Replayable::new(6).as_ref());
        let secrets = secrets(&root);
        assert!(secrets.recovery_code(account(1), &code) == secrets.recovery_code(account(1), &code));
        assert!(secrets.recovery_code(account(1), &code) != secrets.recovery_code(account(2), &code));
    }

    #[test]
    fn o1_state_nonce_and_verifier_differ_and_belong_to_one_browser() {
        let root = tempfile::tempdir().unwrap();
        let (secrets, random) = (secrets(&root), Replayable::new(6));
        let [one, other] = [(); 2].map(|()| PassingToken::generate(Passing::Browser, random.as_ref()));
        let all = [Derived::State, Derived::Nonce, Derived::Verifier];
        let values: Vec<_> =
            [&one, &other].into_iter().flat_map(|token| all.map(|what| secrets.derived(token, what))).collect();
        for (place, value) in values.iter().enumerate() {
            assert_eq!(value.len(), 43, "PKCE asks for 43 to 128");
            assert!(!values[..place].contains(value));
        }
        assert_eq!(values[0], secrets.derived(&one, Derived::State));
    }

    #[test]
    fn a_ticket_opens_only_unchanged_and_at_home() {
        let root = tempfile::tempdir().unwrap();
        let secrets = secrets(&root);
        let ticket = secrets.seal_ticket(Replayable::new(7).as_ref(), "{}");
        assert_eq!(secrets.open_ticket(&ticket).as_deref(), Some("{}"));
        let mut changed = ticket.clone().into_bytes();
        changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
        assert_eq!(secrets.open_ticket(&String::from_utf8(changed).unwrap()), None);
        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = Secrets::open(elsewhere.path(), Replayable::new(8).as_ref()).unwrap();
        assert_eq!(foreign.open_ticket(&ticket), None);
    }
}
