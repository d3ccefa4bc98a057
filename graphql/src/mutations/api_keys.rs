//! API keys: made and rotated with a session only, shown once, revoked for ever (B03, B04, B06, B18).

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{CreateApiKey, CreatedApiKey, RevokeApiKey, RotateApiKey, keep_key};
use atelier_domain::{ApiKeyId, Environment as DomainEnvironment};
use atelier_projections::models::api_keys;
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::api_key::ApiKey;
use crate::caller::{command_context, freshly_proven, signed_in};
use crate::connection::ApiKeyEdge;
use crate::credits::Environment;
use crate::global_id::{self, GlobalId};
use crate::key_usage::UsageOfPage;
use crate::once::{Once, mark_repeat, sent_key};
use crate::payload::{outcome, payload};
use crate::reading::{MUTATION, Reading};

/// The mutations of this room.
#[derive(Default)]
pub struct ApiKeyMutation;

/// What `createApiKey` takes.
#[derive(InputObject)]
pub struct CreateApiKeyInput {
    /// What you call it, 1 to 64 characters; "API key" and a number when not given.
    label: Option<String>,
    /// Live when not given.
    environment: Option<Environment>,
    /// Any of `generate`, `generations:read`, `generations:write`, `models:read`, `account:read`; all when not given.
    scopes: Option<Vec<String>>,
    /// Its end, if it shall have one: at most ten years ahead, rounded to microseconds.
    expires_at: Option<DateTime<Utc>>,
    /// Credits it may hold or pay in one UTC day; no cap when not given.
    daily_cap: Option<i32>,
    /// Credits it may hold or pay in all, whatever replaces it included; no cap when not given.
    total_cap: Option<i32>,
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
        /// The key without its secret, with its cursor in `me { apiKeys }`.
        api_key_edge: Result<ApiKeyEdge>,
    }
}

/// What `rotateApiKey` takes.
#[derive(InputObject)]
pub struct RotateApiKeyInput {
    /// The key to be replaced.
    id: ID,
    /// How many hours it still works, 0 to 168; 24 when not given.
    overlap_hours: Option<i32>,
    /// The new key's end, at most ten years ahead and rounded to microseconds; when not given, the end that the old one was made with.
    expires_at: Option<DateTime<Utc>>,
    /// 1-200 of `A-Z a-z 0-9 . _ : -`: a repeat with the same key and the same input is the same API key, without its secret.
    idempotency_key: Option<String>,
}

payload! {
    /// The new key, for the one time it is shown. It has the old one's label, scopes, environment and caps, and what is spent of them.
    RotateApiKeyPayload {
        /// The new key's id.
        id: ID,
        /// The new key itself: keep it now, it cannot be shown again.
        secret: String,
        /// Whether the secret is here: false for a repeat, because it is not kept.
        secret_available: bool,
        /// The start of the new key, as lists show it.
        prefix: String,
        /// The new key without its secret, with its cursor in `me { apiKeys }`.
        api_key_edge: Result<ApiKeyEdge>,
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
    RevokeApiKeyPayload {
        /// The key, which stays in the list.
        api_key: Result<ApiKey>,
    }
}

/// A key as lists show it at a position, if the payload's field is asked for. What was done stands all the same when it cannot be read.
async fn key_at(context: &Context<'_>, field: &str, key: ApiKeyId, position: &str) -> Option<Result<ApiKeyEdge>> {
    if !context.look_ahead().field(field).exists() {
        return None;
    }
    let answer = async {
        let (account, _) = signed_in(context)?;
        let reading = Reading::begin(context, MUTATION, Some(position)).await?;
        let found = reading.read(async |snapshot| api_keys::find(snapshot, account, key).await).await?;
        let now = context.data::<Sides>()?.write.now();
        let edge = |view: api_keys::ApiKeyView| {
            let cursor = reading.cursor(view.created_at, key.0);
            ApiKeyEdge::new(cursor, ApiKey::of(view, UsageOfPage::of(vec![key]), now))
        };
        Ok(found.map(edge))
    };
    answer.await.transpose()
}

#[Object]
impl ApiKeyMutation {
    /// Makes an API key.
    async fn create_api_key(&self, context: &Context<'_>, input: CreateApiKeyInput) -> Result<CreateApiKeyPayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(CreateApiKeyPayload::refused(error)),
        };
        let idempotency_key = match sent_key(context, input.idempotency_key) {
            Ok(key) => key,
            Err(refusal) => return Ok(CreateApiKeyPayload::refused(refusal)),
        };
        let use_case = CreateApiKey {
            account,
            label: input.label,
            environment: input.environment.map_or(DomainEnvironment::Live, Into::into),
            scopes: input.scopes,
            expires_at: input.expires_at,
            daily_cap: input.daily_cap.map(i64::from),
            total_cap: input.total_cap.map(i64::from),
            idempotency_key,
        };
        let command = command_context(context)?;
        let made = async {
            let created = use_case.run(&sides.write, &command).await?;
            keep_key(&sides.write, &command, (account, session), created).await
        };
        Ok(match outcome(made.await)? {
            Ok(CreatedApiKey { key, secret, position }) => {
                mark_repeat(context, secret.is_none());
                CreateApiKeyPayload {
                    api_key_edge: key_at(context, "apiKeyEdge", key, &sides.read.token(position)).await,
                    id: Some(GlobalId::ApiKey(key).into()),
                    secret_available: Some(secret.is_some()),
                    prefix: secret.as_ref().map(|secret| secret.prefix().to_owned()),
                    secret: secret.map(|secret| secret.expose().to_owned()),
                    position: Some(sides.read.token(position)),
                    ..Default::default()
                }
            }
            Err(error) => CreateApiKeyPayload::refused(error),
        })
    }

    /// Replaces an API key by another one like it; the old one still works for a while.
    async fn rotate_api_key(&self, context: &Context<'_>, input: RotateApiKeyInput) -> Result<RotateApiKeyPayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(RotateApiKeyPayload::refused(error)),
        };
        let key = global_id::api_key("id", &input.id);
        let RotateApiKeyInput { overlap_hours, expires_at, idempotency_key, .. } = input;
        let idempotency_key = match sent_key(context, idempotency_key) {
            Ok(key) => key,
            Err(refusal) => return Ok(RotateApiKeyPayload::refused(refusal)),
        };
        let overlap_hours = overlap_hours.map(i64::from);
        let use_case = RotateApiKey { account, key, overlap_hours, expires_at, idempotency_key };
        let command = command_context(context)?;
        let made = async {
            let created = use_case.run(&sides.write, &command).await?;
            keep_key(&sides.write, &command, (account, session), created).await
        };
        Ok(match outcome(made.await)? {
            Ok(CreatedApiKey { key, secret, position }) => {
                mark_repeat(context, secret.is_none());
                RotateApiKeyPayload {
                    api_key_edge: key_at(context, "apiKeyEdge", key, &sides.read.token(position)).await,
                    id: Some(GlobalId::ApiKey(key).into()),
                    secret_available: Some(secret.is_some()),
                    prefix: secret.as_ref().map(|secret| secret.prefix().to_owned()),
                    secret: secret.map(|secret| secret.expose().to_owned()),
                    position: Some(sides.read.token(position)),
                    ..Default::default()
                }
            }
            Err(error) => RotateApiKeyPayload::refused(error),
        })
    }

    /// Revokes an API key: the very next call with it is refused, and this cannot be undone.
    async fn revoke_api_key(&self, context: &Context<'_>, input: RevokeApiKeyInput) -> Result<RevokeApiKeyPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let key = match global_id::api_key("id", &input.id) {
            Ok(key) => key,
            Err(refusal) => return Ok(RevokeApiKeyPayload::refused(refusal)),
        };
        let use_case = RevokeApiKey { account, key };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                let edge = key_at(context, "apiKey", key, &position).await;
                RevokeApiKeyPayload {
                    api_key: edge.map(|edge| edge.map(|edge| edge.node)),
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => RevokeApiKeyPayload::refused(error),
        })
    }
}
