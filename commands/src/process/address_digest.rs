//! An address as work carries it: its keyed digest, which finds its account and tells nothing else.

use std::fmt;

use atelier_vault::{IndexDigest, IndexKind};
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

impl fmt::Debug for AddressDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressDigest(..)")
    }
}
