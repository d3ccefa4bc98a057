//! Accounts: identity, security, settings, erasure; a file for each part.

mod argon2;
mod google;
mod second_factor;
