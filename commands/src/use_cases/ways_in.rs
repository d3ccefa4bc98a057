//! The ways into an account, for its settings: a password, identities elsewhere (A16).

use atelier_domain::account::{Account, IdentityProvider};
use atelier_domain::{AccountId, IdentityId};
use atelier_vault::credential_rows::identities;
use atelier_vault::{Opened, Place};
use chrono::{DateTime, Utc};

use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// The ways into an account.
#[derive(Clone)]
pub struct WaysIn {
    /// Whether there is a password.
    pub password: bool,
    /// The identities elsewhere, oldest first.
    pub identities: Vec<LinkedIdentity>,
}

/// An identity elsewhere.
#[derive(Clone)]
pub struct LinkedIdentity {
    /// Its id.
    pub identity: IdentityId,
    /// Who vouches.
    pub provider: IdentityProvider,
    /// What it is called; none once it is erased.
    pub label: Option<String>,
    /// When it was linked.
    pub linked_at: DateTime<Utc>,
}

/// The ways into an account, as they are now.
///
/// # Errors
/// When the log, the rows or the keys cannot be read.
pub async fn of(write: &WriteSide, account: AccountId) -> Result<WaysIn, UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    let mut linked = Vec::new();
    for row in identities::of(&write.pool, account).await? {
        let place = Place::row(row.identity.0, "identity", "label");
        let label = match write.vault.open_at(account, &place, &row.label).await? {
            Opened::Text(text) => Some(text),
            Opened::Erased => None,
        };
        let (identity, linked_at) = (row.identity, row.linked_at);
        linked.push(LinkedIdentity { identity, provider: IdentityProvider::Google, label, linked_at });
    }
    Ok(WaysIn { password: loaded.state.has_password(), identities: linked })
}
