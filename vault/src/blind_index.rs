//! Blind indexes: keyed digests by which an email or username is found without being readable (REQUIREMENTS 4.2.9).

use std::io;
use std::path::Path;

use atelier_domain::LotId;

use crate::keyed_hash::keyed_hash;
use crate::{RandomBytes, SecretKey, key_folder};

/// What is indexed; the same text under two kinds gives two unrelated digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// An email address, folded.
    Email,
    /// A username, folded.
    Username,
}

impl IndexKind {
    /// The word rows store: `email` or `username`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Username => "username",
        }
    }
}

/// A blind index value, with the version of the key it was made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IndexDigest {
    /// What it indexes.
    pub kind: IndexKind,
    /// The key's version.
    pub key_version: i16,
    /// HMAC-SHA-256 of the folded text.
    pub digest: [u8; 32],
}

impl std::fmt::Debug for IndexDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A keyed digest of an email is still personal data.
        write!(f, "IndexDigest({}, {}, ..)", self.kind.as_str(), self.key_version)
    }
}

/// A blind index value of an identity elsewhere, with the version of the key it was made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdentityDigest {
    /// The key's version.
    pub key_version: i16,
    /// HMAC-SHA-256 of issuer and subject.
    pub digest: [u8; 32],
}

impl std::fmt::Debug for IdentityDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityDigest(..)")
    }
}

/// A mailbox that had its sign-up bonus, with the version of the key it was made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BonusMark {
    pub(crate) key_version: i16,
    pub(crate) digest: [u8; 32],
}

/// A grant of a sign-up bonus that is on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GrantDigest(pub(crate) [u8; 32]);

impl std::fmt::Debug for BonusMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BonusMark(..)")
    }
}

impl std::fmt::Debug for GrantDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GrantDigest(..)")
    }
}

/// Makes blind index values under the key in `<keys folder>/index/<version>`.
#[derive(Debug, Clone)]
pub struct BlindIndex {
    key_version: i16,
    key: SecretKey,
}

impl BlindIndex {
    /// Reads the newest key, or makes version 1 on the first run. Claims made under an older version are no longer
    /// found, so a new version is put in only together with claims made anew.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or a version is beyond 32,767.
    pub fn open(keys_folder: &Path, random: &dyn RandomBytes) -> io::Result<Self> {
        let (version, key) = key_folder::newest_or_first(keys_folder, "index", random)?;
        let key_version = i16::try_from(version).map_err(io::Error::other)?;
        Ok(Self { key_version, key })
    }

    /// The digest of a text the caller has folded.
    #[must_use]
    pub fn digest(&self, kind: IndexKind, folded: &str) -> IndexDigest {
        let digest = keyed_hash(&self.key, kind.as_str(), &[folded.as_bytes()]);
        IndexDigest { kind, key_version: self.key_version, digest }
    }

    /// The digest of an identity elsewhere: who vouches for it, and its name there. Never an address (sec.O1).
    #[must_use]
    pub fn identity(&self, issuer: &str, subject: &str) -> IdentityDigest {
        let digest = keyed_hash(&self.key, "identity elsewhere", &[issuer.as_bytes(), subject.as_bytes()]);
        IdentityDigest { key_version: self.key_version, digest }
    }

    /// The mark of a mailbox that had its sign-up bonus; it means nothing as an address's index.
    #[must_use]
    pub fn bonus_mark(&self, mailbox: &str) -> BonusMark {
        let digest = keyed_hash(&self.key, "sign-up bonus", &[mailbox.as_bytes()]);
        BonusMark { key_version: self.key_version, digest }
    }

    /// The digest of the lot that a bonus is granted as.
    #[must_use]
    pub fn grant(&self, lot: LotId) -> GrantDigest {
        GrantDigest(keyed_hash(&self.key, "sign-up bonus: grant", &[lot.0.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    #[test]
    fn an_index_is_stable_over_restarts_and_differs_by_text_kind_and_key() {
        let root = tempfile::tempdir().unwrap();
        let random = Replayable::new(6);
        let index = BlindIndex::open(root.path(), random.as_ref()).unwrap();
        let ada = index.digest(IndexKind::Email, "ada");
        let restarted = BlindIndex::open(root.path(), random.as_ref()).unwrap();
        assert_eq!(restarted.digest(IndexKind::Email, "ada"), ada);
        assert_eq!(ada.key_version, 1);
        assert_ne!(index.digest(IndexKind::Email, "bob").digest, ada.digest);
        assert_ne!(index.digest(IndexKind::Username, "ada").digest, ada.digest);

        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = BlindIndex::open(elsewhere.path(), random.as_ref()).unwrap();
        assert_ne!(foreign.digest(IndexKind::Email, "ada").digest, ada.digest);
    }

    #[test]
    fn the_newest_key_version_is_in_use() {
        let root = tempfile::tempdir().unwrap();
        let random = Replayable::new(6);
        let first = BlindIndex::open(root.path(), random.as_ref()).unwrap().digest(IndexKind::Email, "ada");
        std::fs::write(root.path().join("index/12"), [7; 32]).unwrap();
        let second = BlindIndex::open(root.path(), random.as_ref()).unwrap().digest(IndexKind::Email, "ada");
        assert_eq!(second.key_version, 12);
        assert_ne!(second.digest, first.digest);
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("index")).unwrap();
        std::fs::write(root.path().join("index/1"), [7; 31]).unwrap();
        assert!(BlindIndex::open(root.path(), Replayable::new(6).as_ref()).is_err());
        assert_eq!(std::fs::read(root.path().join("index/1")).unwrap(), [7; 31]);
    }
}
