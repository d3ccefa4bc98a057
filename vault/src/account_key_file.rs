//! What one account's key file holds: `{epoch, profile, billing}`, each key wrapped by that epoch's KEK or a tombstone.

use atelier_domain::{AccountId, KeyClass};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::{AccountKey, AccountKeys, KeyStoreError, RandomBytes, SecretKey, aead};

/// Written over a wrapped key before its tombstone replaces it. Not a base64 letter, so one such byte tells a
/// shredding that was cut short from a damaged key.
const OVERWRITTEN: char = '!';

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKey {
    Wrapped(String),
    Shredded,
}

impl StoredKey {
    /// The wrapped text of a key that is still alive.
    fn wrapped(&self) -> Option<&str> {
        match self {
            Self::Wrapped(text) if !text.contains(OVERWRITTEN) => Some(text),
            Self::Wrapped(_) | Self::Shredded => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountKeyFile {
    pub(crate) epoch: u32,
    profile: StoredKey,
    billing: StoredKey,
}

/// Who is wrapping: the account the keys belong to and the KEK in use.
pub(crate) struct Wrapping<'a> {
    pub(crate) account: AccountId,
    pub(crate) epoch: u32,
    pub(crate) kek: &'a SecretKey,
}

impl Wrapping<'_> {
    fn associated(&self, class: KeyClass) -> Vec<u8> {
        let class: &[u8] = match class {
            KeyClass::Profile => b"profile",
            KeyClass::Billing => b"billing",
        };
        aead::associated_data(&[b"account key", self.account.0.as_bytes(), class, &self.epoch.to_be_bytes()])
    }

    fn wrap(&self, class: KeyClass, key: &AccountKey, random: &dyn RandomBytes) -> StoredKey {
        match key {
            AccountKey::Live(key) => {
                let wrapped = aead::encrypt(self.kek, random, &self.associated(class), key.bytes());
                StoredKey::Wrapped(URL_SAFE_NO_PAD.encode(wrapped))
            }
            AccountKey::Shredded => StoredKey::Shredded,
        }
    }

    fn unwrap(&self, class: KeyClass, stored: &StoredKey) -> Result<AccountKey, KeyStoreError> {
        let Some(text) = stored.wrapped() else { return Ok(AccountKey::Shredded) };
        let wrapped = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyStoreError::Corrupt)?;
        let bytes = aead::decrypt(self.kek, &self.associated(class), &wrapped).ok_or(KeyStoreError::Corrupt)?;
        SecretKey::from_slice(&bytes).map(AccountKey::Live).ok_or(KeyStoreError::Corrupt)
    }

    pub(crate) fn wrap_both(&self, keys: &AccountKeys, random: &dyn RandomBytes) -> AccountKeyFile {
        AccountKeyFile {
            epoch: self.epoch,
            profile: self.wrap(KeyClass::Profile, &keys.profile, random),
            billing: self.wrap(KeyClass::Billing, &keys.billing, random),
        }
    }

    pub(crate) fn unwrap_both(&self, file: &AccountKeyFile) -> Result<AccountKeys, KeyStoreError> {
        Ok(AccountKeys {
            profile: self.unwrap(KeyClass::Profile, &file.profile)?,
            billing: self.unwrap(KeyClass::Billing, &file.billing)?,
        })
    }
}

impl AccountKeyFile {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, KeyStoreError> {
        serde_json::from_slice(bytes).map_err(|_| KeyStoreError::Corrupt)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("two strings and a number always serialise")
    }

    /// Whether any key of the account ever died.
    pub(crate) fn has_tombstone(&self) -> bool {
        self.profile.wrapped().is_none() || self.billing.wrapped().is_none()
    }

    /// Puts a class's tombstone and gives back what was wrapped there, if anything was.
    pub(crate) fn bury(&mut self, class: KeyClass) -> Option<String> {
        let stored = match class {
            KeyClass::Profile => &mut self.profile,
            KeyClass::Billing => &mut self.billing,
        };
        match std::mem::replace(stored, StoredKey::Shredded) {
            StoredKey::Wrapped(text) => Some(text),
            StoredKey::Shredded => None,
        }
    }
}

/// What to write over a wrapped key, and where in the file: any part of it already makes the key unreadable.
pub(crate) fn overwriting(contents: &[u8], wrapped: &str) -> Option<(u64, Vec<u8>)> {
    let offset = contents.windows(wrapped.len()).position(|window| window == wrapped.as_bytes())?;
    Some((offset as u64, OVERWRITTEN.to_string().repeat(wrapped.len()).into_bytes()))
}
