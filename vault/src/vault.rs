//! Seals personal fields before they are stored and opens them when they are shown (DESIGN 7, REQUIREMENTS 4.2).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use atelier_domain::{AccountId, EventId, KeyClass, PersonalFields, Sealed};
use tokio::time::Instant;
use uuid::Uuid;

use crate::key_cache::KeyCache;
use crate::sealed_text::SealedText;
use crate::{
    AccountKey, AccountKeyStore, AccountKeys, FileKeyStore, KeyStoreError, Place, RandomBytes, SecretKey, aead,
};

/// Accounts whose keys a node keeps in memory.
const CACHED_ACCOUNTS: usize = 10_000;

/// A sealed value, opened.
#[derive(Clone, PartialEq, Eq)]
pub enum Opened {
    /// What the person wrote.
    Text(String),
    /// The key was shredded: the value is gone, on purpose and for ever.
    Erased,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Opened::Text(..)",
            Self::Erased => "Opened::Erased",
        })
    }
}

/// Why the vault did not seal or open.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Nothing more can be sealed for this account: it was erased, and the edge refuses the command.
    #[error("the account's key was shredded")]
    KeyShredded,
    /// Neither key nor tombstone: an operator's problem, not an erasure; a fault at the edge.
    #[error("the account's keys are missing")]
    KeyMissing,
    /// The sealed text was changed, moved, or belongs to another account or field; a fault at the edge.
    #[error("a sealed value does not belong where it stands")]
    Tampered,
    /// An event type, row kind or field name that cannot stand in a sealed text; a mistake in the program.
    #[error("a name cannot stand in a sealed value")]
    InvalidName,
    /// The key store failed; a fault at the edge, worth trying again.
    #[error("the key store failed")]
    KeyStore(#[source] KeyStoreError),
}

impl From<KeyStoreError> for VaultError {
    fn from(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::Missing => Self::KeyMissing,
            KeyStoreError::Shredded => Self::KeyShredded,
            error => Self::KeyStore(error),
        }
    }
}

/// Seals and opens with the accounts' keys. Cheap to clone; clones share one cache.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Arc<dyn AccountKeyStore>,
    random: Arc<dyn RandomBytes>,
    cache: KeyCache,
}

impl Vault {
    /// A vault over a key store.
    #[must_use]
    pub fn new(store: Arc<dyn AccountKeyStore>, random: Arc<dyn RandomBytes>) -> Self {
        Self(Arc::new(Inner { store, random, cache: KeyCache::new(CACHED_ACCOUNTS) }))
    }

    /// A vault over the keys folder, made when there is none yet.
    ///
    /// # Errors
    /// When the folder cannot be used or holds accounts without a KEK.
    pub fn open_folder(folder: &Path, random: Arc<dyn RandomBytes>) -> Result<Self, KeyStoreError> {
        Ok(Self::new(Arc::new(FileKeyStore::open(folder, Arc::clone(&random))?), random))
    }

    /// The key store underneath: sign-up makes keys in it, operators rotate its KEK.
    #[must_use]
    pub fn store(&self) -> &dyn AccountKeyStore {
        self.0.store.as_ref()
    }

    /// Destroys one of an account's keys and drops it from this node's memory; again is harmless.
    ///
    /// # Errors
    /// When the account never had keys or the store failed; then it is to be tried again.
    pub async fn shred(&self, account: AccountId, class: KeyClass) -> Result<(), VaultError> {
        let shredded = self.0.store.shred(account, class).await;
        self.forget(account);
        Ok(shredded?)
    }

    /// Drops an account's keys from this node's memory: every node does so when it sees the erasure event.
    pub fn forget(&self, account: AccountId) {
        self.0.cache.forget(account);
    }

    /// Keys at most 60 s old.
    async fn keys(&self, account: AccountId) -> Result<Arc<AccountKeys>, VaultError> {
        let now = Instant::now();
        if let Some(keys) = self.0.cache.get(account, now) {
            return Ok(keys);
        }
        // Its age counts from before the read: a shredding during it must not gain a second of life.
        let ticket = self.0.cache.ticket(now);
        let keys = Arc::new(self.0.store.load(account).await?);
        self.0.cache.insert(account, Arc::clone(&keys), ticket);
        Ok(keys)
    }

    /// Keys to seal with: the store is asked each time, so that nothing is sealed under a key that another node has shredded (DESIGN 7).
    async fn fresh_keys(&self, account: AccountId) -> Result<Arc<AccountKeys>, VaultError> {
        let ticket = self.0.cache.ticket(Instant::now());
        let keys = Arc::new(self.0.store.load(account).await?);
        self.0.cache.insert(account, Arc::clone(&keys), ticket);
        Ok(keys)
    }

    /// Seals every open personal field of an event, each with its class's key, bound to this event, type and field.
    ///
    /// # Errors
    /// `KeyShredded` when the account was erased, `KeyMissing` when it never had keys, or the store's failures; the
    /// event may then be partly sealed and is not to be stored.
    pub async fn seal_fields<E: PersonalFields>(
        &self,
        account: AccountId,
        event_id: EventId,
        event_type: &str,
        event: &mut E,
    ) -> Result<(), VaultError> {
        if event.personal_fields().iter().all(|slot| slot.open_text().is_none()) {
            return Ok(());
        }
        let keys = self.fresh_keys(account).await?;
        for mut slot in event.personal_fields() {
            let Some(text) = slot.open_text() else { continue };
            let sealed =
                self.seal_with(&keys, account, slot.class, &Place::event(event_id, event_type, slot.field), text)?;
            slot.seal(sealed);
        }
        Ok(())
    }

    /// Seals a field of a row outside events, bound to this row, kind and field.
    ///
    /// # Errors
    /// As [`Self::seal_fields`].
    pub async fn seal_row(
        &self,
        account: AccountId,
        class: KeyClass,
        row_id: Uuid,
        kind: &'static str,
        field: &'static str,
        text: &str,
    ) -> Result<Sealed, VaultError> {
        let keys = self.fresh_keys(account).await?;
        self.seal_with(&keys, account, class, &Place::row(row_id, kind, field), text)
    }

    fn seal_with(
        &self,
        keys: &AccountKeys,
        account: AccountId,
        class: KeyClass,
        place: &Place<'_>,
        text: &str,
    ) -> Result<Sealed, VaultError> {
        if !place.is_valid() {
            return Err(VaultError::InvalidName);
        }
        let key: &SecretKey = match keys.of(class) {
            AccountKey::Live(key) => key,
            AccountKey::Shredded => return Err(VaultError::KeyShredded),
        };
        let associated = place.associated_data(account, class);
        Ok(place.text(class, &aead::encrypt(key, self.0.random.as_ref(), &associated, text.as_bytes())))
    }

    /// Opens a value a read model or row keeps for `account` under `field`. The text itself names its event or row;
    /// a caller that knows which one it must be uses [`Self::open_at`].
    ///
    /// # Errors
    /// `Tampered` when it was sealed for another account or field or was changed; `KeyMissing` or the store's failures.
    /// A shredded key is no error: [`Opened::Erased`].
    pub async fn open(&self, account: AccountId, field: &str, sealed: &Sealed) -> Result<Opened, VaultError> {
        let text = SealedText::parse(sealed).filter(|text| text.place.field() == field).ok_or(VaultError::Tampered)?;
        open_with(self.keys(account).await?.as_ref(), account, &text)
    }

    /// Opens a value only if it was sealed for exactly this event or row, name and field.
    ///
    /// # Errors
    /// As [`Self::open`]; `Tampered` also for a whole value moved from another event or row.
    pub async fn open_at(&self, account: AccountId, place: &Place<'_>, sealed: &Sealed) -> Result<Opened, VaultError> {
        let text = SealedText::parse(sealed).filter(|text| text.place == *place).ok_or(VaultError::Tampered)?;
        open_with(self.keys(account).await?.as_ref(), account, &text)
    }
}

fn open_with(keys: &AccountKeys, account: AccountId, text: &SealedText<'_>) -> Result<Opened, VaultError> {
    let key = match keys.of(text.class) {
        AccountKey::Live(key) => key,
        AccountKey::Shredded => return Ok(Opened::Erased),
    };
    let associated = text.place.associated_data(account, text.class);
    let plain = aead::decrypt(key, &associated, &text.ciphertext).ok_or(VaultError::Tampered)?;
    let plain = std::str::from_utf8(&plain).map_err(|_| VaultError::Tampered)?;
    Ok(Opened::Text(plain.to_owned()))
}

#[cfg(test)]
mod tests;
