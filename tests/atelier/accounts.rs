//! Accounts: identity, security, settings, erasure; a file for each part.

mod argon2;
