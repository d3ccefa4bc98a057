//! Personal data and secrets: account keys, sealing, opening, shredding, blind indexes, credential rows.
//!
//! Everything here keeps one promise: what PostgreSQL and its backups hold is unreadable without the keys folder, and
//! for an account whose key was shredded it stays unreadable for ever (DESIGN 7, REQUIREMENTS 4.2).

mod account_key_file;
mod aead;
pub mod api_key;
mod base62;
pub mod blind_index;
pub mod credential_rows;
mod durable_file;
mod erasure_journal;
mod key_cache;
pub mod key_files;
mod key_folder;
mod keyed_hash;
pub mod keys;
pub mod passwords;
pub mod quarantine;
pub mod random;
pub mod sealed_text;
pub mod secret_key;
pub mod secrets;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod vault;

pub use api_key::{ApiKeySecret, NotAnApiKey};
pub use blind_index::{BlindIndex, IndexDigest, IndexKind};
pub use key_files::FileKeyStore;
pub use keys::{AccountKey, AccountKeyStore, AccountKeys, KekRotation, KeyStoreError};
pub use passwords::{PasswordError, Passwords};
pub use quarantine::{QuarantineError, UsernameQuarantine};
pub use random::RandomBytes;
pub use sealed_text::Place;
pub use secret_key::SecretKey;
pub use secrets::{SecretDigest, Secrets};
pub use tokens::{MailToken, NotAToken, SessionToken, UploadTicket};
pub use vault::{Opened, Vault, VaultError};
