//! Accounts: identity, security, settings, erasure; a file for each part.

mod argon2;
mod erasure;
mod kek_rotation;
