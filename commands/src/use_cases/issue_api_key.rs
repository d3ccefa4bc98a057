//! What making a key and rotating one have in common: the row waits, the event is appended, the row counts (DESIGN 4).

use atelier_domain::account::{
    Account, AccountCommand, AccountError, KeyExpiry, KeyScope, NewApiKey as DomainKey, Replaced, SpendCaps,
};
use atelier_domain::policy::plan::Plan;
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId, Environment};
use atelier_vault::ApiKeySecret;
use atelier_vault::credential_rows::api_keys::{self, NewApiKey};
use chrono::{DateTime, Utc};

use crate::api_policy::ApiAccess;
use crate::command_path::{CommandContext, CommandError, Executed};
use crate::event_store::{IdempotencyKey, Position};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

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

/// A key to be made.
pub(super) struct Issue {
    pub account: AccountId,
    pub key: ApiKeyId,
    pub label: Option<KeyLabel>,
    pub environment: Environment,
    pub scopes: Vec<KeyScope>,
    pub expires_at: Option<KeyExpiry>,
    pub caps: SpendCaps,
    pub replaces: Option<Replaced>,
    pub idempotency: Option<IdempotencyKey>,
}

impl Issue {
    /// Makes the key. Died before the event, the pending row is removed by the reconciler; after it, the reconciler brings the end of
    /// the key it replaces forward and activates the row.
    pub(super) async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<CreatedApiKey, UseCaseError> {
        // Before the row: it must never hold an end that its event cannot have.
        if self.expires_at.is_some_and(|end| end.get() <= write.now()) {
            return Err(Refusal::from(AccountError::ExpiryInThePast).into());
        }
        let key = self.key;
        let secret = ApiKeySecret::generate(self.environment, write.ports.random.as_ref());
        let names: Vec<String> = self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let row = NewApiKey {
            key,
            account: self.account,
            secret: &secret,
            digest: write.secrets.api_key(&secret),
            scopes: &names,
            created_at: write.now(),
            expires_at: self.expires_at.map(KeyExpiry::get),
            caps: self.caps,
            replaces: self.replaces.map(|replaced| replaced.key_id),
        };
        api_keys::insert_pending(&write.pool, &row).await?;
        let command = |now| self.command(&secret, now);
        let target = account_target(self.account);
        let executed = match write.path.execute::<Account>(&target, context, self.idempotency.as_ref(), command).await {
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
        // The old key's end first: were it the other way round, nobody would look after it any more.
        if let Some(Replaced { key_id, ends_at }) = self.replaces {
            api_keys::shorten(&write.pool, self.account, key_id, ends_at).await?;
        }
        if !api_keys::activate(&write.pool, key).await? {
            return Err(Refusal::new(RefusalCode::NotFound, "The key was withdrawn before it was ready.").into());
        }
        // Revoked in the log while its row was not counted yet: looked at after the row, whatever revokes it later finds it.
        let owner =
            write.path.load::<Account>(&self.account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        if !owner.state.has_api_key(&key) {
            api_keys::revoke(&write.pool, self.account, key).await?;
            return Err(Refusal::new(RefusalCode::NotFound, "The key was withdrawn before it was ready.").into());
        }
        // Rows of keys that gave their place to others: they do not count any more, and the reconciler removes them. What a death here
        // leaves behind is met by the account's next key.
        for expired in api_keys::expired_of(&write.pool, self.account, write.now()).await? {
            if !owner.state.has_api_key(&expired) {
                api_keys::revoke(&write.pool, self.account, expired).await?;
            }
        }
        Ok(CreatedApiKey { key, secret: Some(secret), position: executed.position() })
    }

    fn command(&self, secret: &ApiKeySecret, now: DateTime<Utc>) -> AccountCommand {
        let key = DomainKey {
            key_id: self.key,
            label: self.label.clone(),
            prefix: secret.prefix().to_owned(),
            last4: secret.last4().to_owned(),
            environment: self.environment,
            scopes: self.scopes.clone(),
            expires_at: self.expires_at,
            caps: self.caps,
            replaces: self.replaces,
        };
        AccountCommand::CreateApiKey { key, now }
    }
}

/// Names an end that is over beside the other wrong fields. Alone it is no reason before a repeat was looked for.
pub(super) fn with_past(refusal: Refusal, ends: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Refusal {
    if ends.is_some_and(|end| end <= now) {
        return refusal.and(AccountError::ExpiryInThePast.into());
    }
    refusal
}

/// The answer to a repeat: the key that was made then, without its secret.
pub(super) fn repeated(result: &str, position: Position) -> Result<CreatedApiKey, UseCaseError> {
    let key = result.parse().map_err(|_| CommandError::Internal("a stored idempotency result is not an id".into()))?;
    Ok(CreatedApiKey { key, secret: None, position })
}

/// The account may have keys here (V27, C14): refused, not only hidden.
pub(super) fn allowed(write: &WriteSide, plan: Plan) -> Result<(), UseCaseError> {
    if write.api.access.allows(plan) {
        return Ok(());
    }
    Err(match write.api.access {
        ApiAccess::Off => Refusal::new(RefusalCode::Forbidden, "This deployment has no API access."),
        ApiAccess::Paid | ApiAccess::All => Refusal::new(RefusalCode::PlanRequired, "API access needs a paid plan."),
    }
    .into())
}
