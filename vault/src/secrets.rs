//! Keyed digests of the 256-bit secrets we hand out, and fingerprints of request bodies (sec.K1, DESIGN 2 and 3.4).
//!
//! A fast keyed hash is enough for secrets of full entropy; passwords go through argon2id instead.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use atelier_domain::AccountId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::keyed_hash::keyed_hash;
use crate::{ApiKeySecret, MailToken, RandomBytes, SecretKey, SessionToken, UploadTicket, key_folder};

/// What is stored of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub(crate) const fn of(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// A digest that was stored; `None` for what is of another length.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is the stored one; takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.0.ct_eq(stored).into()
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}

/// Where a client is in the network, as far as it is known: keyed digests of the networks that its address is in, the narrowest first.
/// An IPv4 address is one network; of IPv6 there are the /64 that one client has, and the /56 and the /48 that one customer may have.
#[derive(Clone, PartialEq, Eq)]
pub struct Client(Vec<SecretDigest>);

impl Client {
    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &[SecretDigest] {
        &self.0
    }

    /// The narrowest.
    #[must_use]
    pub fn narrowest(&self) -> Option<&SecretDigest> {
        self.0.first()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
    }
}

/// Digests secrets under the server's key in `<keys folder>/credentials/<version>`.
#[derive(Debug, Clone)]
pub struct Secrets(SecretKey);

impl Secrets {
    /// Reads the key, or makes it on the first run. A new version ends every session and API key, for digests do not say theirs.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(keys_folder: &Path, random: &dyn RandomBytes) -> io::Result<Self> {
        key_folder::newest_or_first(keys_folder, "credentials", random).map(|(_, key)| Self(key))
    }

    pub(crate) const fn key(&self) -> &SecretKey {
        &self.0
    }

    /// A keyed hash for one use, over its parts.
    pub(crate) fn keyed(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        keyed_hash(&self.0, label, parts)
    }

    fn digest(&self, label: &str, secret: &str) -> SecretDigest {
        SecretDigest(keyed_hash(&self.0, label, &[secret.as_bytes()]))
    }

    /// What is stored of an API key.
    #[must_use]
    pub fn api_key(&self, key: &ApiKeySecret) -> SecretDigest {
        self.digest("api key", key.expose())
    }

    /// What is stored of a session token.
    #[must_use]
    pub fn session(&self, token: &SessionToken) -> SecretDigest {
        self.digest("session", token.expose())
    }

    /// What is stored of a mail token.
    #[must_use]
    pub fn mail(&self, token: &MailToken) -> SecretDigest {
        self.digest("mail token", token.expose())
    }

    /// The bucket in which tries at something are counted: `what` names the rule, `parts` who or what is tried.
    #[must_use]
    pub fn tries(&self, what: &str, parts: &[&[u8]]) -> SecretDigest {
        let parts: Vec<&[u8]> = std::iter::once(what.as_bytes()).chain(parts.iter().copied()).collect();
        SecretDigest(keyed_hash(&self.0, "tries", &parts))
    }

    /// What is known of where a client is in the network.
    #[must_use]
    pub fn client(&self, address: IpAddr) -> Client {
        let of = |network: &[u8]| SecretDigest(keyed_hash(&self.0, "client", &[network]));
        Client(match address.to_canonical() {
            IpAddr::V4(address) => vec![of(&address.octets())],
            IpAddr::V6(address) => [8, 7, 6].iter().map(|octets| of(&address.octets()[..*octets])).collect(),
        })
    }

    /// What is stored of an upload's ticket.
    #[must_use]
    pub fn upload(&self, ticket: &UploadTicket) -> SecretDigest {
        self.digest("upload ticket", ticket.expose())
    }

    /// The signature of a link to an output: what it names, and when it ends, in seconds of the epoch.
    #[must_use]
    pub fn media_signature(&self, named: &str, expires: i64) -> [u8; 32] {
        keyed_hash(&self.0, "media link", &[named.as_bytes(), &expires.to_be_bytes()])
    }

    /// What is stored of a client's idempotency key: 44 characters, the first of which no client's key can have, so that it is told from
    /// the clear text that earlier releases stored. One key of one account under two kinds of request gives two unrelated texts.
    #[must_use]
    pub fn idempotency_key(&self, account: AccountId, kind: &str, key: &str) -> String {
        let parts: [&[u8]; 3] = [account.0.as_bytes(), kind.as_bytes(), key.as_bytes()];
        format!("#{}", URL_SAFE_NO_PAD.encode(keyed_hash(&self.0, "idempotency key", &parts)))
    }

    /// An id made of an idempotency key, for what is recorded under an id.
    #[must_use]
    pub fn idempotency_id(&self, account: AccountId, kind: &str, key: &str) -> Uuid {
        let digest = keyed_hash(&self.0, "idempotency id", &[account.0.as_bytes(), kind.as_bytes(), key.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// The fingerprint of a request's canonical body for idempotency: keyed and bound to the account, so that equal
    /// prompts of two people cannot be told equal.
    #[must_use]
    pub fn fingerprint(&self, account: AccountId, canonical_body: &[u8]) -> [u8; 32] {
        keyed_hash(&self.0, "request", &[account.0.as_bytes(), canonical_body])
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::{Environment, SessionId};

    use super::*;
    use crate::testing::{Replayable, account};

    #[test]
    fn k1_a_digest_is_stable_over_restarts_and_matches_its_own_secret_only() {
        let root = tempfile::tempdir().unwrap();
        let random = Replayable::new(5);
        let secrets = Secrets::open(root.path(), random.as_ref()).unwrap();
        let key = ApiKeySecret::generate(Environment::Live, random.as_ref());
        let other = ApiKeySecret::generate(Environment::Live, random.as_ref());
        let stored = *secrets.api_key(&key).as_bytes();

        let restarted = Secrets::open(root.path(), random.as_ref()).unwrap();
        assert!(restarted.api_key(&key).matches(&stored));
        assert!(!restarted.api_key(&other).matches(&stored));
        assert!(!restarted.api_key(&key).matches(&stored[..31]));
        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = Secrets::open(elsewhere.path(), random.as_ref()).unwrap();
        assert!(!foreign.api_key(&key).matches(&stored), "another server's key gives another digest");
    }

    #[test]
    fn digests_of_one_use_mean_nothing_in_another() {
        let root = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(root.path(), Replayable::new(5).as_ref()).unwrap();
        let token = SessionToken::generate(SessionId(account(1).0), Replayable::new(6).as_ref());
        assert_ne!(secrets.session(&token), secrets.digest("api key", token.expose()));
        assert_ne!(secrets.digest("mail token", token.expose()), secrets.digest("api key", token.expose()));
    }

    #[test]
    fn r5_a_client_is_an_ipv4_address_or_an_ipv6_network_of_three_widths() {
        let root = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(root.path(), Replayable::new(5).as_ref()).unwrap();
        let client = |text: &str| secrets.client(text.parse().unwrap());
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_eq!(client("192.0.2.1").networks().len(), 1);
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        let shared = |one: &str, other: &str| {
            let (one, other) = (client(one), client(other));
            let pairs = one.networks().iter().zip(other.networks());
            pairs.map(|(one, other)| one == other).collect::<Vec<_>>()
        };
        let own = "2001:db8:1:2::1";
        assert_eq!(shared(own, "2001:db8:1:2:ffff::9"), [true, true, true]);
        assert_eq!(shared(own, "2001:db8:1:3::1"), [false, true, true]);
        assert_eq!(shared(own, "2001:db8:1:102::1"), [false, false, true]);
        assert_eq!(shared(own, "2001:db8:2:2::1"), [false, false, false]);
    }

    #[test]
    fn an_idempotency_key_is_stored_apart_for_each_account_and_kind_and_is_never_a_clients_own_text() {
        let root = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(root.path(), Replayable::new(5).as_ref()).unwrap();
        let stored = secrets.idempotency_key(account(1), "requestGeneration", "order-1");
        assert_eq!(stored, secrets.idempotency_key(account(1), "requestGeneration", "order-1"));
        assert_eq!((stored.len(), stored.as_bytes()[0]), (44, b'#'));
        for other in [
            secrets.idempotency_key(account(2), "requestGeneration", "order-1"),
            secrets.idempotency_key(account(1), "cancelGeneration", "order-1"),
            secrets.idempotency_key(account(1), "requestGeneration", "order-2"),
        ] {
            assert_ne!(stored, other);
        }
    }

    #[test]
    fn a_fingerprint_belongs_to_one_account_and_one_body() {
        let root = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(root.path(), Replayable::new(5).as_ref()).unwrap();
        let print = secrets.fingerprint(account(1), b"{}");
        assert_eq!(print, secrets.fingerprint(account(1), b"{}"));
        assert_ne!(print, secrets.fingerprint(account(2), b"{}"));
        assert_ne!(print, secrets.fingerprint(account(1), b"{ }"));
    }
}
