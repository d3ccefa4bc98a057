//! AES-256-GCM-SIV as the vault uses it: `nonce || ciphertext || tag`, bound to length-prefixed associated data.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use zeroize::Zeroizing;

use crate::{RandomBytes, SecretKey};

const NONCE_BYTES: usize = 12;

/// Joins parts so that no two different lists of parts give the same bytes.
pub(crate) fn associated_data(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        let length = u32::try_from(part.len()).expect("parts are ids and bounded names");
        joined.extend_from_slice(&length.to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

fn cipher(key: &SecretKey) -> Aes256GcmSiv {
    Aes256GcmSiv::new(key.bytes().into())
}

pub(crate) fn encrypt(key: &SecretKey, random: &dyn RandomBytes, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut nonce);
    let ciphertext = cipher(key)
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: associated })
        .expect("texts and keys are far below the cipher's 64 GiB");
    let mut sealed = Vec::with_capacity(NONCE_BYTES + ciphertext.len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// The plain bytes, or `None` when the key, the associated data or a single bit is not the one it was sealed with.
pub(crate) fn decrypt(key: &SecretKey, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let plain = cipher(key).decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: associated }).ok()?;
    Some(Zeroizing::new(plain))
}

/// Encrypts with a fixed nonce: equal input gives equal output, and nothing else is revealed (RFC 8452, 9).
pub(crate) fn encrypt_deterministic(key: &SecretKey, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    cipher(key)
        .encrypt(&Nonce::from([0; NONCE_BYTES]), Payload { msg: plain, aad: associated })
        .expect("ids are far below the cipher's 64 GiB")
}

/// The plain bytes of what [`encrypt_deterministic`] made, or `None` when key, associated data or a single bit is another.
pub(crate) fn decrypt_deterministic(key: &SecretKey, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    cipher(key).decrypt(&Nonce::from([0; NONCE_BYTES]), Payload { msg: sealed, aad: associated }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associated_data_tells_shifted_parts_apart() {
        assert_ne!(associated_data(&[b"ab", b"c"]), associated_data(&[b"a", b"bc"]));
        assert_ne!(associated_data(&[b"ab"]), associated_data(&[b"ab", b""]));
    }

    /// RFC 8452, appendix C.2: the first AES-256 vector with plaintext, so that what we store is the standard's and not only our own round trip.
    #[test]
    fn e6_the_cipher_is_the_standards_aes_256_gcm_siv() {
        let mut key = [0; 32];
        key[0] = 1;
        let sealed = [
            &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[0xc2, 0xef, 0x32, 0x8e, 0x5c, 0x71, 0xc8, 0x3b][..],
            &[0x84, 0x31, 0x22, 0x13, 0x0f, 0x73, 0x64, 0xb7, 0x61, 0xe0, 0xb9, 0x74, 0x27, 0xe3, 0xdf, 0x28][..],
        ]
        .concat();
        let plain = decrypt(&SecretKey::from_slice(&key).unwrap(), b"", &sealed).unwrap();
        assert_eq!(plain.as_slice(), [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
