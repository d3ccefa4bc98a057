//! The port of the account key store: two keys for each account, made once at sign-up, shredded for ever (REQUIREMENTS 4.2.3, 4.2.7).

use std::io;

use async_trait::async_trait;
use atelier_domain::{AccountId, KeyClass};

use crate::SecretKey;

/// One of an account's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountKey {
    /// Seals and opens.
    Live(SecretKey),
    /// Destroyed; a tombstone remembers that it once was, so it is never made again.
    Shredded,
}

/// Both keys of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountKeys {
    /// Dies when the account is deleted.
    pub profile: AccountKey,
    /// Dies when the retention of billing records ends.
    pub billing: AccountKey,
}

impl AccountKeys {
    /// The key of a class.
    #[must_use]
    pub const fn of(&self, class: KeyClass) -> &AccountKey {
        match class {
            KeyClass::Profile => &self.profile,
            KeyClass::Billing => &self.billing,
        }
    }
}

/// What a rotation of the key-encrypting key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekRotation {
    /// The epoch now in use; all older ones are destroyed.
    pub epoch: u32,
    /// How many accounts' keys were wrapped anew.
    pub rewrapped: u64,
}

/// Why the key store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The account has its keys already: sign-up uses another id.
    #[error("the account has its keys already")]
    AlreadyExists,
    /// A key of the account was shredded, and none is ever made for it again.
    #[error("a key of the account was shredded")]
    Shredded,
    /// There is neither a key nor a tombstone. Not an erasure: an operator must look (a wrong or empty keys folder).
    #[error("the account has no keys in this store")]
    Missing,
    /// The stored keys do not decrypt or do not parse; an operator must look.
    #[error("the stored keys of the account are damaged")]
    Corrupt,
    /// The key-encrypting key of this epoch is not in the store; an operator must look.
    #[error("the key-encrypting key of epoch {0} is missing")]
    KekMissing(u32),
    /// The store holds accounts but no key-encrypting key at all; starting over would orphan them.
    #[error("the store holds accounts but no key-encrypting key")]
    NoKek,
    /// The store cannot be read or written; worth trying again.
    #[error("the key store is unavailable")]
    Io(#[from] io::Error),
}

/// Keeps the accounts' keys, outside PostgreSQL and its backups.
#[async_trait]
pub trait AccountKeyStore: Send + Sync + 'static {
    /// Makes both keys of a new account; only sign-up does. They are durable when this returns.
    ///
    /// # Errors
    /// `AlreadyExists` also for a repeat, `Shredded` when the account ever lost a key, else the store's own failures.
    async fn create(&self, account: AccountId) -> Result<(), KeyStoreError>;

    /// The keys of an account, or their tombstones.
    ///
    /// # Errors
    /// `Missing` when there is neither, else the store's own failures.
    async fn load(&self, account: AccountId) -> Result<AccountKeys, KeyStoreError>;

    /// Destroys one key of an account and leaves a tombstone; doing it again is harmless. The other key is untouched.
    ///
    /// # Errors
    /// `Missing` when the account never had keys here, else the store's own failures; then it is to be tried again.
    async fn shred(&self, account: AccountId, class: KeyClass) -> Result<(), KeyStoreError>;

    /// Every account whose profile key was ever shredded here, each once: the erasure journal, which a restored backup of the database
    /// knows nothing of (REQUIREMENTS 4.2.7, E4).
    ///
    /// # Errors
    /// The store's own failures.
    async fn shredded(&self) -> Result<Vec<AccountId>, KeyStoreError>;

    /// Every account that has keys, in no order.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn accounts(&self) -> Result<Vec<AccountId>, KeyStoreError>;

    /// Makes a new key-encrypting key, wraps every account's keys with it and destroys the older ones, while others
    /// read and write (E7). After a crash the next call finishes the rotation that was begun.
    ///
    /// # Errors
    /// The store's own failures; nothing is destroyed before everything is wrapped anew.
    async fn rotate_kek(&self) -> Result<KekRotation, KeyStoreError>;
}
