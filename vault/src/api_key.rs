//! API keys: `atl_<live|test>_<12 id><43 secret><6 crc>` in base62 (REQUIREMENTS 3.3, sec.K1, sec.K2).
//!
//! The id is public and finds the row; the secret is 256 random bits and is kept only as a keyed digest; the last six
//! letters are the CRC32 of all before them. For secret scanners: `\batl_(live|test)_[0-9A-Za-z]{61}\b`.

use std::fmt;

use atelier_domain::Environment;
use zeroize::Zeroizing;

use crate::{RandomBytes, base62};

const PUBLIC_ID_LETTERS: usize = 12;

/// The text is not an API key of ours; says nothing more, as the answer must not either (sec.K4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct NotAnApiKey;

/// A whole API key, secret included: shown once when made, presented with each call, never kept or printed.
#[derive(Clone)]
pub struct ApiKeySecret {
    environment: Environment,
    text: Zeroizing<String>,
}

const fn scheme(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "atl_live_",
        Environment::Test => "atl_test_",
    }
}

impl ApiKeySecret {
    /// A fresh key.
    #[must_use]
    pub fn generate(environment: Environment, random: &dyn RandomBytes) -> Self {
        let mut id = [0; 16];
        random.fill(&mut id);
        // Enough room from the start: growing would leave pieces of the secret in freed memory.
        let mut text = String::with_capacity(96);
        text.push_str(scheme(environment));
        text.push_str(&base62::encode(u128::from_be_bytes(id), PUBLIC_ID_LETTERS));
        base62::push_secret(&mut text, random);
        base62::push_checksum(&mut text);
        Self { environment, text: Zeroizing::new(text) }
    }

    /// Reads a presented key. Strict: nothing is trimmed or folded, and the checksum must be right.
    ///
    /// # Errors
    /// When it is anything but a well-formed key.
    pub fn parse(text: &str) -> Result<Self, NotAnApiKey> {
        let letters = PUBLIC_ID_LETTERS + base62::SECRET_LETTERS;
        [Environment::Live, Environment::Test]
            .into_iter()
            .find(|environment| base62::checked_body(text, scheme(*environment), letters).is_some())
            .map(|environment| Self { environment, text: Zeroizing::new(text.to_owned()) })
            .ok_or(NotAnApiKey)
    }

    /// Live or test credits.
    #[must_use]
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// The public identifier, 12 letters: the row is looked up by it.
    #[must_use]
    pub fn public_id(&self) -> &str {
        &self.prefix()[scheme(self.environment).len()..]
    }

    /// What is shown of the key for ever: `atl_live_<id>`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.text[..scheme(self.environment).len() + PUBLIC_ID_LETTERS]
    }

    /// The key's last four letters, shown beside the prefix; part of the checksum, not of the secret.
    #[must_use]
    pub fn last4(&self) -> &str {
        &self.text[self.text.len() - 4..]
    }

    /// The whole key: to show it once, and to digest it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeySecret({}..)", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    #[test]
    fn k1_a_generated_key_has_the_documented_form_and_parses_back() {
        let random = Replayable::new(3);
        for (environment, scheme) in [(Environment::Live, "atl_live_"), (Environment::Test, "atl_test_")] {
            let key = ApiKeySecret::generate(environment, random.as_ref());
            let body = key.expose().strip_prefix(scheme).unwrap();
            assert_eq!(body.len(), 12 + 43 + 6);
            assert!(body.bytes().all(|letter| letter.is_ascii_alphanumeric()));
            let parsed = ApiKeySecret::parse(key.expose()).unwrap();
            assert_eq!(parsed.environment(), environment);
            assert_eq!(parsed.public_id(), &body[..12]);
            assert_eq!(parsed.prefix(), format!("{scheme}{}", &body[..12]));
            assert_eq!(parsed.last4(), &body[57..]);
            assert_ne!(ApiKeySecret::generate(environment, random.as_ref()).public_id(), parsed.public_id());
        }
    }

    #[test]
    fn k4_anything_but_the_exact_key_is_refused() {
        let key = ApiKeySecret::generate(Environment::Live, Replayable::new(3).as_ref());
        let key = key.expose();
        let changed = |at: usize| {
            let mut bytes = key.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            String::from_utf8(bytes).unwrap()
        };
        let refused = [
            String::new(),
            "atl_live_".into(),
            format!(" {key}"),
            format!("{key} "),
            format!("{key}\n"),
            format!("Bearer {key}"),
            format!("{key}a"),
            key[..key.len() - 1].to_owned(),
            key.to_lowercase(),
            key.replacen("live", "test", 1),
            key.replacen("live", "LIVE", 1),
            key.replacen("atl_live_", "atl_", 1),
            changed(9),
            changed(25),
            changed(key.len() - 1),
            format!("{}-{}", &key[..20], &key[21..]),
            format!("{}\u{e9}{}", &key[..20], &key[22..]),
            format!("{}\0{}", &key[..20], &key[21..]),
        ];
        for text in refused {
            assert!(ApiKeySecret::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn k1_the_checksum_is_the_crc32_of_all_before_it_in_base62() {
        let before = format!("atl_test_{}", "0".repeat(55));
        let key = format!("{before}{}", base62::encode(u128::from(crc32fast::hash(before.as_bytes())), 6));
        assert_eq!(ApiKeySecret::parse(&key).unwrap().environment(), Environment::Test);
    }

    #[test]
    fn k2_a_key_is_never_printed() {
        let key = ApiKeySecret::generate(Environment::Live, Replayable::new(3).as_ref());
        let printed = format!("{key:?}");
        assert!(printed.contains(key.prefix()));
        assert!(!printed.contains(&key.expose()[21..25]) && !printed.contains(key.last4()));
    }
}
