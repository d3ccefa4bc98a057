//! An API key as lists show it (B04).

use async_graphql::{ID, SimpleObject};
use atelier_domain::account::KeyScope;
use atelier_projections::models::api_keys::ApiKeyView;
use chrono::{DateTime, Utc};

use crate::credits::Environment;
use crate::global_id::GlobalId;

/// An API key, without its secret.
#[derive(SimpleObject)]
pub struct ApiKey {
    /// The key's id.
    pub id: ID,
    /// What its owner calls it.
    label: Option<String>,
    /// The start of the key.
    prefix: String,
    /// The end of the key.
    last4: String,
    /// Live or test.
    environment: Environment,
    /// What it may do.
    scopes: Vec<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Its end, if any.
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    revoked_at: Option<DateTime<Utc>>,
}

impl From<ApiKeyView> for ApiKey {
    fn from(view: ApiKeyView) -> Self {
        Self {
            id: GlobalId::ApiKey(view.key).into(),
            label: view.label,
            prefix: view.prefix,
            last4: view.last4,
            environment: view.environment.into(),
            scopes: view.scopes.into_iter().map(|scope: KeyScope| scope.as_str().to_owned()).collect(),
            created_at: view.created_at,
            expires_at: view.expires_at,
            revoked_at: view.revoked_at,
        }
    }
}
