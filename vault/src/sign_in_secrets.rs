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

/// What a ticket is for; one kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    /// To sign up with an identity elsewhere.
    SignUp,
    /// To begin a sign-in elsewhere in a browser that has no session of ours.
    Journey,
}

impl Ticket {
    /// What a ticket is bound to beside its key.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::SignUp => b"sign-up ticket 1",
            Self::Journey => b"journey ticket 1",
        }
    }
}

/// What is sealed under a passing token is bound to, beside the token.
const CARRIED: &[u8] = b"carried 1";

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
            Passing::Code => "sign-in elsewhere: code",
            Passing::SignUp => "sign-up",
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
    pub fn seal_ticket(&self, kind: Ticket, random: &dyn RandomBytes, text: &str) -> String {
        seal(&self.ticket_key(), kind.label(), random, text)
    }

    /// Opens a ticket; `None` when it is not one of ours, or of another kind.
    #[must_use]
    pub fn open_ticket(&self, kind: Ticket, ticket: &str) -> Option<String> {
        open(&self.ticket_key(), kind.label(), ticket)
    }

    fn carried_key(&self, token: &PassingToken) -> SecretKey {
        let key = keyed_hash(self.key(), "carried by a passing token", &[token.expose().as_bytes()]);
        SecretKey::from_slice(&key).expect("a keyed hash has a key's length")
    }

    /// Seals what a row keeps for the holder of a token. Only the token's digest is stored, so once the token is forgotten, the text can
    /// never be opened again, not from a backup either.
    #[must_use]
    pub fn seal_for(&self, token: &PassingToken, random: &dyn RandomBytes, text: &str) -> String {
        seal(&self.carried_key(token), CARRIED, random, text)
    }

    /// Opens what was sealed for this token; `None` for any other.
    #[must_use]
    pub fn open_for(&self, token: &PassingToken, sealed: &str) -> Option<String> {
        open(&self.carried_key(token), CARRIED, sealed)
    }
}

fn seal(key: &SecretKey, label: &[u8], random: &dyn RandomBytes, text: &str) -> String {
    URL_SAFE_NO_PAD.encode(aead::encrypt(key, random, label, text.as_bytes()))
}

fn open(key: &SecretKey, label: &[u8], sealed: &str) -> Option<String> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let plain = aead::decrypt(key, label, &sealed)?;
    String::from_utf8(plain.to_vec()).ok()
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
        let ticket = secrets.seal_ticket(Ticket::SignUp, Replayable::new(7).as_ref(), "{}");
        assert_eq!(secrets.open_ticket(Ticket::SignUp, &ticket).as_deref(), Some("{}"));
        assert_eq!(secrets.open_ticket(Ticket::Journey, &ticket), None, "another kind");
        let mut changed = ticket.clone().into_bytes();
        changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
        assert_eq!(secrets.open_ticket(Ticket::SignUp, &String::from_utf8(changed).unwrap()), None);
        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = Secrets::open(elsewhere.path(), Replayable::new(8).as_ref()).unwrap();
        assert_eq!(foreign.open_ticket(Ticket::SignUp, &ticket), None);
    }
    #[test]
    fn what_is_sealed_for_a_token_opens_with_it_alone() {
        let root = tempfile::tempdir().unwrap();
        let (secrets, random) = (secrets(&root), Replayable::new(9));
        let [one, other] = [(); 2].map(|()| PassingToken::generate(Passing::Code, random.as_ref()));
        let sealed = secrets.seal_for(&one, random.as_ref(), "who it is");
        assert_eq!(secrets.open_for(&one, &sealed).as_deref(), Some("who it is"));
        assert_eq!(secrets.open_for(&other, &sealed), None);
        assert_eq!(secrets.open_ticket(Ticket::SignUp, &sealed), None);
        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = Secrets::open(elsewhere.path(), Replayable::new(8).as_ref()).unwrap();
        assert_eq!(foreign.open_for(&one, &sealed), None, "the server's key is needed as well");
    }
}
