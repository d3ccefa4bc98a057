//! Accounts: identity, security, settings, erasure; a file for each part.

mod erasure;
mod kek_rotation;
mod keys;
