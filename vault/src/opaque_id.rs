//! Opaque ids for public links: what they name, encrypted by the server. The same thing always has the same id, and no table is needed.
//!
//! AES-256-GCM-SIV with a fixed nonce is deterministic authenticated encryption (RFC 8452, 9): an id reveals only whether it equals another
//! one, and an id that this server did not make is not accepted. The key is derived from the key of `Secrets`.

use atelier_domain::{AccountId, AvatarId, GenerationId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::{SecretKey, Secrets, aead};

impl Secrets {
    /// The id of an output, which is counted from 0 in its generation.
    #[must_use]
    pub fn media_id(&self, generation: GenerationId, index: u32) -> String {
        self.opaque_id("media id", &[generation.0.as_bytes().as_slice(), &index.to_be_bytes()].concat())
    }

    /// The output that an id names; `None` when this server did not make it.
    #[must_use]
    pub fn read_media_id(&self, id: &str) -> Option<(GenerationId, u32)> {
        let bytes = self.read_opaque_id("media id", id)?;
        let (generation, index) = bytes.split_at_checked(16)?;
        Some((GenerationId(Uuid::from_slice(generation).ok()?), u32::from_be_bytes(index.try_into().ok()?)))
    }

    /// The id of an avatar of an account.
    #[must_use]
    pub fn avatar_link_id(&self, account: AccountId, avatar: AvatarId) -> String {
        self.opaque_id("avatar id", &[account.0.as_bytes().as_slice(), avatar.0.as_bytes()].concat())
    }

    /// The avatar that an id names; `None` when this server did not make it.
    #[must_use]
    pub fn read_avatar_link_id(&self, id: &str) -> Option<(AccountId, AvatarId)> {
        let bytes = self.read_opaque_id("avatar id", id)?;
        let (account, avatar) = bytes.split_at_checked(16)?;
        Some((AccountId(Uuid::from_slice(account).ok()?), AvatarId(Uuid::from_slice(avatar).ok()?)))
    }

    fn opaque_key(&self) -> SecretKey {
        SecretKey::from_slice(&self.keyed("opaque ids", &[])).expect("a keyed hash has as many bytes as a key")
    }

    fn opaque_id(&self, kind: &str, plain: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(aead::encrypt_deterministic(&self.opaque_key(), kind.as_bytes(), plain))
    }

    fn read_opaque_id(&self, kind: &str, id: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(id).ok()?;
        aead::decrypt_deterministic(&self.opaque_key(), kind.as_bytes(), &sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Replayable, account};

    #[test]
    fn c3_an_id_is_the_same_for_ever_names_one_thing_and_cannot_be_made_or_changed_by_others() {
        let root = tempfile::tempdir().unwrap();
        let random = Replayable::new(5);
        let secrets = Secrets::open(root.path(), random.as_ref()).unwrap();
        let (generation, avatar) = (GenerationId(account(7).0), AvatarId(account(8).0));
        let media = secrets.media_id(generation, 1);
        let face = secrets.avatar_link_id(account(1), avatar);
        let restarted = Secrets::open(root.path(), random.as_ref()).unwrap();
        assert_eq!(restarted.media_id(generation, 1), media);
        assert_eq!(restarted.read_media_id(&media), Some((generation, 1)));
        assert_eq!(restarted.read_avatar_link_id(&face), Some((account(1), avatar)));

        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = Secrets::open(elsewhere.path(), random.as_ref()).unwrap();
        assert_eq!(foreign.read_media_id(&media), None);
        assert_eq!((secrets.read_media_id(&face), secrets.read_avatar_link_id(&media)), (None, None), "one kind each");
        for id in [&media, &face] {
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "fit for a link: {id}");
            for at in 0..id.len() {
                let mut changed = id.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(
                    (secrets.read_media_id(&changed), secrets.read_avatar_link_id(&changed)),
                    (None, None),
                    "{at}"
                );
                assert_eq!(secrets.read_media_id(&id[..at]), None);
            }
            assert_eq!(secrets.read_media_id(&format!("{id}A")), None);
        }
    }

    #[test]
    fn c3_ids_of_one_account_have_nothing_in_common() {
        let root = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(root.path(), Replayable::new(5).as_ref()).unwrap();
        let ids = [8, 9].map(|n| secrets.avatar_link_id(account(1), AvatarId(account(n).0)));
        let bytes = ids.map(|id| URL_SAFE_NO_PAD.decode(id).unwrap());
        for id in &bytes {
            assert!(!id.windows(4).any(|window| account(1).0.as_bytes().windows(4).any(|part| part == window)));
        }
        let same = bytes[0].iter().zip(&bytes[1]).filter(|(a, b)| a == b).count();
        assert!(same < 8, "{same} of 48 bytes are equal");
    }
}
