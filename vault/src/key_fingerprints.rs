//! Which keys folder a database belongs to: keyed hashes of the server's keys that tell nothing of them, to be remembered beside the
//! data. The key-encrypting keys are not among them, because they are rotated.

use std::io;
use std::path::Path;

use crate::key_folder;
use crate::keyed_hash::keyed_hash;

/// The keys that live as long as the data that was made with them.
const LASTING: [&str; 2] = ["index", "credentials"];

/// A version of one of the server's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprint {
    /// The key's name: its folder within the keys folder.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// A keyed hash made with it.
    pub fingerprint: [u8; 32],
}

/// The fingerprints of a keys folder, by name and version; none for a folder that is empty or not there. Nothing is made.
///
/// # Errors
/// When the folder cannot be read.
pub fn key_fingerprints(keys_folder: &Path) -> io::Result<Vec<KeyFingerprint>> {
    let mut found = Vec::new();
    for name in LASTING {
        for (version, key) in key_folder::read(keys_folder, name)? {
            found.push(KeyFingerprint {
                name,
                version,
                fingerprint: keyed_hash(&key, "fingerprint", &[name.as_bytes()]),
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;
    use crate::{BlindIndex, Secrets};

    #[test]
    fn a_folder_has_the_same_fingerprints_for_ever_and_another_has_others() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(key_fingerprints(&one.path().join("absent")).unwrap(), []);
        assert_eq!(key_fingerprints(one.path()).unwrap(), []);
        assert_eq!(std::fs::read_dir(one.path()).unwrap().count(), 0, "looking makes nothing");
        for (folder, seed) in [(&one, 1), (&other, 2)] {
            let random = Replayable::new(seed);
            BlindIndex::open(folder.path(), random.as_ref()).unwrap();
            Secrets::open(folder.path(), random.as_ref()).unwrap();
        }
        let (ours, theirs) = (key_fingerprints(one.path()).unwrap(), key_fingerprints(other.path()).unwrap());
        assert_eq!(ours, key_fingerprints(one.path()).unwrap());
        assert_eq!(
            ours.iter().map(|found| (found.name, found.version)).collect::<Vec<_>>(),
            [("index", 1), ("credentials", 1)]
        );
        assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| ours.fingerprint != theirs.fingerprint));
        std::fs::write(one.path().join("index/2"), [7; 32]).unwrap();
        assert_eq!(key_fingerprints(one.path()).unwrap().len(), 3, "each version has its own");
    }
}
