//! `createApiKey`: a key whose secret is shown once (B03, B04, V28). The row waits, the event is appended, the row counts.
//!
//! What happens when the process dies: before the event, the pending row is removed by the reconciler; after it, the row is
//! activated by the reconciler, and the key stands in the list, its secret unseen, to be revoked.

use atelier_domain::account::{Account, AccountCommand, KeyScope, NewApiKey as DomainKey, SpendCaps};
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId, Environment};
use atelier_vault::ApiKeySecret;
use atelier_vault::credential_rows::api_keys::{self, NewApiKey};
use chrono::{DateTime, Utc};

use crate::command_path::{CommandContext, CommandError, Executed};
use crate::event_store::Position;
use crate::idempotency;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, in_field};
use crate::write_side::{WriteSide, account_target};

/// Makes a key.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub label: String,
    /// Live or test.
    pub environment: Environment,
    /// What it may do; everything when not given.
    pub scopes: Option<Vec<String>>,
    /// Its end, if any (B13).
    pub expires_at: Option<DateTime<Utc>>,
    /// A repeat with the same key and the same input is the same API key, without its secret.
    pub idempotency_key: Option<String>,
}

/// A new key, with its secret for the one time it is shown.
#[derive(Debug, Clone)]
pub struct CreatedApiKey {
    /// The key's id.
    pub key: ApiKeyId,
    /// The key itself; `None` for a repeat, because it is not kept.
    pub secret: Option<ApiKeySecret>,
    /// The position to read from.
    pub position: Position,
}

impl CreateApiKey {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_field` for the label, an unknown scope (V29) or a past expiry; `email_not_verified`; `limit_reached`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<CreatedApiKey, UseCaseError> {
        let label = in_field("label", KeyLabel::parse(&self.label))?;
        let scopes = self.scopes()?;
        let key = ApiKeyId(write.fresh_id());
        let meaning = serde_json::json!(["createApiKey", label.as_ref(), self.environment, scopes, self.expires_at]);
        let sent = self.idempotency_key.as_deref();
        let idempotency = idempotency::key(write, self.account, sent, &meaning, key.to_string())?;
        let repeat =
            write.path.repeat::<Account>(idempotency.as_ref()).await.map_err(|error| error.map(Refusal::from))?;
        if let Some(Executed::Repeat { result, position }) = repeat {
            return repeated(&result, position);
        }
        let secret = ApiKeySecret::generate(self.environment, write.ports.random.as_ref());
        let names: Vec<String> = scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let row = NewApiKey {
            key,
            account: self.account,
            secret: &secret,
            digest: write.secrets.api_key(&secret),
            scopes: &names,
            created_at: write.now(),
            expires_at: self.expires_at,
        };
        api_keys::insert_pending(&write.pool, &row).await?;
        let command = |now| AccountCommand::CreateApiKey {
            key: DomainKey {
                key_id: key,
                label: label.clone(),
                prefix: secret.prefix().to_owned(),
                last4: secret.last4().to_owned(),
                environment: self.environment,
                scopes: scopes.clone(),
                expires_at: self.expires_at,
                caps: SpendCaps::default(),
                replaces: None,
            },
            now,
        };
        let target = account_target(self.account);
        let executed = match write.path.execute::<Account>(&target, context, idempotency.as_ref(), command).await {
            // A twin was faster: its key is the one.
            Ok(Executed::Repeat { result, position }) => {
                api_keys::remove(&write.pool, key).await?;
                return repeated(&result, position);
            }
            Ok(executed) => executed,
            Err(error) => {
                if matches!(error, CommandError::Refused(_) | CommandError::Conflict | CommandError::KeyReused) {
                    api_keys::remove(&write.pool, key).await?;
                }
                return Err(error.map(Refusal::from));
            }
        };
        if !api_keys::activate(&write.pool, key).await? {
            return Err(Refusal::new(RefusalCode::NotFound, "The key was withdrawn before it was ready.").into());
        }
        Ok(CreatedApiKey { key, secret: Some(secret), position: executed.position() })
    }

    fn scopes(&self) -> Result<Vec<KeyScope>, UseCaseError> {
        let Some(names) = &self.scopes else { return Ok(KeyScope::ALL.to_vec()) };
        let known = KeyScope::ALL.map(KeyScope::as_str).join(", ");
        if names.is_empty() || names.len() > KeyScope::ALL.len() {
            return Err(Refusal::field("scopes", format!("scopes must name one or more of {known}")).into());
        }
        let parse = |name: &String| {
            KeyScope::parse(name)
                .ok_or_else(|| Refusal::field("scopes", format!("scopes may contain only {known}")).into())
        };
        names.iter().map(parse).collect()
    }
}

fn repeated(result: &str, position: Position) -> Result<CreatedApiKey, UseCaseError> {
    let key = result.parse().map_err(|_| CommandError::Internal("a stored idempotency result is not an id".into()))?;
    Ok(CreatedApiKey { key, secret: None, position })
}
