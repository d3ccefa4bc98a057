//! Accounts: identity, security, settings, erasure; a file for each part.

mod argon2;
mod erasure;
mod kek_rotation;
mod mail_server;
mod notices;
mod preferences;
mod security_notices;
mod unsubscribe;
