//! API keys: made with a session only, shown once, revoked for ever (B03, B04, B06).

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{CreateApiKey, RevokeApiKey};
use atelier_domain::Environment as DomainEnvironment;
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::caller::{command_context, signed_in};
use crate::credits::Environment;
use crate::global_id::GlobalId;
use crate::payload::{outcome, payload, unknown_id};

/// The mutations of this room.
#[derive(Default)]
pub struct ApiKeyMutation;

/// What `createApiKey` takes.
#[derive(InputObject)]
pub struct CreateApiKeyInput {
    /// What you call it, up to 64 characters.
    label: String,
    /// Live when not given.
    environment: Option<Environment>,
    /// Any of `generate`, `generations:read`, `generations:write`, `models:read`, `account:read`; all when not given.
    scopes: Option<Vec<String>>,
    /// Its end, if it shall have one.
    expires_at: Option<DateTime<Utc>>,
    /// 1-200 of `A-Z a-z 0-9 . _ : -`: a repeat with the same key and the same input is the same API key, without its secret.
    idempotency_key: Option<String>,
}

payload! {
    /// The key, for the one time it is shown.
    CreateApiKeyPayload {
        /// The key's id, for `revokeApiKey`.
        id: ID,
        /// The key itself: keep it now, it cannot be shown again.
        secret: String,
        /// Whether the secret is here: false for a repeat, because it is not kept.
        secret_available: bool,
        /// The start of the key, as lists show it.
        prefix: String,
    }
}

/// What `revokeApiKey` takes.
#[derive(InputObject)]
pub struct RevokeApiKeyInput {
    /// The key.
    id: ID,
}

payload! {
    /// The key does not work any more.
    RevokeApiKeyPayload {}
}

#[Object]
impl ApiKeyMutation {
    /// Makes an API key.
    async fn create_api_key(&self, context: &Context<'_>, input: CreateApiKeyInput) -> Result<CreateApiKeyPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = CreateApiKey {
            account,
            label: input.label,
            environment: input.environment.map_or(DomainEnvironment::Live, Into::into),
            scopes: input.scopes,
            expires_at: input.expires_at,
            idempotency_key: input.idempotency_key,
        };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(created) => CreateApiKeyPayload {
                id: Some(GlobalId::ApiKey(created.key).into()),
                secret_available: Some(created.secret.is_some()),
                prefix: created.secret.as_ref().map(|secret| secret.prefix().to_owned()),
                secret: created.secret.map(|secret| secret.expose().to_owned()),
                position: Some(sides.read.token(created.position.0)),
                ..Default::default()
            },
            Err(error) => CreateApiKeyPayload::refused(error),
        })
    }

    /// Revokes an API key: the very next call with it is refused, and this cannot be undone.
    async fn revoke_api_key(&self, context: &Context<'_>, input: RevokeApiKeyInput) -> Result<RevokeApiKeyPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let Some(GlobalId::ApiKey(key)) = GlobalId::parse(&input.id) else {
            return Ok(RevokeApiKeyPayload::refused(unknown_id("id")));
        };
        let use_case = RevokeApiKey { account, key };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(position) => RevokeApiKeyPayload { position: Some(sides.read.token(position.0)), ..Default::default() },
            Err(error) => RevokeApiKeyPayload::refused(error),
        })
    }
}
