//! The account: identity, profile, plan capability, preferences, roles, and sessions, keys and credentials as facts (their secrets
//! are rows, not events).

mod aggregate;
mod api_key;
mod command;
mod decide;
mod error;
mod event;
mod notification;
mod personal_fields;
mod profile;
mod security;
mod session;
mod staff;
#[cfg(test)]
mod tests;

pub use aggregate::{Account, MAX_API_KEYS, MAX_IDENTITIES, MAX_SESSIONS, Status};
pub use api_key::{KeyExpiry, KeyRecord, KeyScope, SpendCaps};
pub use command::{AccountCommand, NewApiKey, NewIdentity, Replaced};
pub use error::AccountError;
pub use event::AccountEvent;
pub use notification::{Channel, NoticeKind, NotificationChoice, NotificationChoices};
pub use profile::{Avatar, Language, SameTexts};
pub use security::{IdentityProvider, PasswordVia, TwoFactorEnd};
pub use session::SessionEnd;
pub use staff::{Role, StaffAction, StaffCommand, StaffOrder, TwoFactorReset};
