//! An address, and what a sign-up returned, as work carries them: keyed digests, which find an account and tell nothing else.

use std::fmt;

use atelier_vault::{IndexDigest, IndexKind, SecretDigest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The keyed digest of an address. Not printed: it is the same at every mention.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressDigest {
    key_version: i16,
    digest: String,
}

impl AddressDigest {
    /// The digest as work carries it.
    #[must_use]
    pub fn of(index: &IndexDigest) -> Self {
        Self { key_version: index.key_version, digest: URL_SAFE_NO_PAD.encode(index.digest) }
    }

    /// The digest as rows are found by it; `None` when the work was made by something else.
    #[must_use]
    pub fn index(&self) -> Option<IndexDigest> {
        let digest = URL_SAFE_NO_PAD.decode(&self.digest).ok()?.try_into().ok()?;
        Some(IndexDigest { kind: IndexKind::Email, key_version: self.key_version, digest })
    }
}

/// The keyed digest of what `signUp` returned.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignUpDigest(String);

impl SignUpDigest {
    /// The digest as work carries it.
    #[must_use]
    pub fn of(token: &SecretDigest) -> Self {
        Self(URL_SAFE_NO_PAD.encode(token.as_bytes()))
    }

    /// The digest as rows are found by it; `None` when the work was made by something else.
    #[must_use]
    pub fn digest(&self) -> Option<SecretDigest> {
        SecretDigest::from_stored(&URL_SAFE_NO_PAD.decode(&self.0).ok()?)
    }
}

impl fmt::Debug for SignUpDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignUpDigest(..)")
    }
}

impl fmt::Debug for AddressDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressDigest(..)")
    }
}
