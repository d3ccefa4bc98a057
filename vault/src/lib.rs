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
pub mod device_token;
mod durable_file;
mod erasure_journal;
pub mod fair_places;
mod key_cache;
pub mod key_files;
pub mod key_fingerprints;
mod key_folder;
mod keyed_hash;
pub mod keys;
mod opaque_id;
pub mod passing_token;
pub mod password_policy;
pub mod passwords;
pub mod quarantine;
pub mod random;
pub mod recovery_code;
pub mod sealed_text;
pub mod secret_key;
pub mod secrets;
pub mod sign_in_secrets;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod totp;
pub mod transactions;
mod typed_code;
mod unsubscribe_token;
pub mod vault;

pub use api_key::{ApiKeySecret, NotAnApiKey};
pub use blind_index::{BlindIndex, BonusMark, GrantDigest, IdentityDigest, IndexDigest, IndexKind};
pub use device_token::DeviceToken;
pub use fair_places::Share;
pub use key_files::FileKeyStore;
pub use key_fingerprints::{KeyFingerprint, key_fingerprints};
pub use keys::{AccountKey, AccountKeyStore, AccountKeys, KekRotation, KeyStoreError};
pub use passing_token::{Passing, PassingToken};
pub use password_policy::OwnNames;
pub use passwords::{PasswordError, Passwords};
pub use quarantine::{QuarantineError, UsernameQuarantine};
pub use random::RandomBytes;
pub use recovery_code::RecoveryCode;
pub use sealed_text::Place;
pub use secret_key::SecretKey;
pub use secrets::{Client, SecretDigest, Secrets};
pub use sign_in_secrets::{Derived, Ticket};
pub use tokens::{MailToken, NotAToken, SessionToken, UploadTicket};
pub use totp::TotpSeed;
pub use vault::{Opened, Vault, VaultError};
