//! The account: identity, profile, plan capability, preferences, and sessions and API keys as facts (their secrets are rows, not events).

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::{Account, MAX_API_KEYS, MAX_SESSIONS, Status};
pub use command::AccountCommand;
pub use error::AccountError;
pub use event::{AccountEvent, KeyScope, SessionEnd};
