//! Accounts: identity, security, settings, erasure; a file for each part.

mod avatar_bounds;
mod avatars;
mod erasure;
mod public_profile;
mod quarantine;
mod usernames;
