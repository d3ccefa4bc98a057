//! How an account is entered, as its settings show it: the second factor, the password, identities elsewhere (V11, A16).

use async_graphql::{Enum, ID, SimpleObject};
use atelier_commands::use_cases::second_factor::{PendingReset, SecondFactorStatus};
use atelier_commands::use_cases::ways_in::{LinkedIdentity, WaysIn};
use chrono::{DateTime, Utc};

use crate::global_id::GlobalId;
use crate::number::int;

/// The second factor.
#[derive(SimpleObject)]
pub struct TwoFactor {
    /// Whether signing in takes a code.
    enabled: bool,
    /// Recovery codes that were not used yet.
    recovery_codes_left: i32,
    /// Set while staff were asked to turn the second factor off: `keepTwoFactor` stops them, and so does any right code.
    pending_reset: Option<TwoFactorReset>,
}

/// A second factor that staff will turn off, unless its owner says no.
#[derive(SimpleObject)]
pub struct TwoFactorReset {
    /// When it goes off.
    due_at: DateTime<Utc>,
    /// Why, in the words of staff.
    reason: Option<String>,
}

impl From<SecondFactorStatus> for TwoFactor {
    fn from(status: SecondFactorStatus) -> Self {
        let pending_reset =
            status.pending_reset.map(|PendingReset { due_at, reason }| TwoFactorReset { due_at, reason });
        Self { enabled: status.enabled, recovery_codes_left: int(status.recovery_codes_left), pending_reset }
    }
}

/// Who vouches for an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "atelier_domain::account::IdentityProvider")]
pub enum IdentityProvider {
    /// Google.
    Google,
}

/// An identity elsewhere that signs in to the account.
#[derive(SimpleObject)]
pub struct ExternalIdentity {
    /// The identity's id.
    id: ID,
    /// Who vouches.
    provider: IdentityProvider,
    /// What it is called: its address there, usually.
    label: Option<String>,
    /// When it was linked.
    linked_at: DateTime<Utc>,
}

impl From<LinkedIdentity> for ExternalIdentity {
    fn from(linked: LinkedIdentity) -> Self {
        let LinkedIdentity { identity, provider, label, linked_at } = linked;
        Self { id: GlobalId::Identity(identity).into(), provider: provider.into(), label, linked_at }
    }
}

/// The ways into the account.
#[derive(SimpleObject)]
pub struct AuthMethods {
    /// Whether there is a password.
    password: bool,
    /// Identities elsewhere, oldest first.
    identities: Vec<ExternalIdentity>,
}

impl From<WaysIn> for AuthMethods {
    fn from(ways: WaysIn) -> Self {
        Self { password: ways.password, identities: ways.identities.into_iter().map(Into::into).collect() }
    }
}
