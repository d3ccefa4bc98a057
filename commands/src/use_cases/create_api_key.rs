//! `createApiKey`: a key whose secret is shown once (B03, B04, V28). The row waits, the event is appended, the row counts.
//!
//! What happens when the process dies: before the event, the pending row is removed by the reconciler; after it, the row is
//! activated by the reconciler, and the key stands in the list, its secret unseen, to be revoked.

use atelier_domain::account::{Account, KeyScope, SpendCaps};
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId, Credits, Environment};
use chrono::{DateTime, Utc};

use super::issue_api_key::{CreatedApiKey, Issue, allowed, repeated};
use crate::command_path::{CommandContext, Executed};
use crate::idempotency;
use crate::refusal::{Refusal, UseCaseError, in_field};
use crate::write_side::WriteSide;

/// Makes a key.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub label: String,
    /// Live or test.
    pub environment: Environment,
    /// What it may do; everything on offer when not given.
    pub scopes: Option<Vec<String>>,
    /// Its end, if any (B13).
    pub expires_at: Option<DateTime<Utc>>,
    /// Credits it may hold or pay in one UTC day (U21).
    pub daily_cap: Option<i64>,
    /// Credits it may hold or pay in its whole life, its successors' lives included.
    pub total_cap: Option<i64>,
    /// A repeat with the same key and the same input is the same API key, without its secret.
    pub idempotency_key: Option<String>,
}

impl CreateApiKey {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_field` for the label, an unknown scope (V29), a cap that is none or a past expiry; `email_not_verified`;
    /// `limit_reached`; `plan_required` or `forbidden` where accounts like this one have no API access (V27).
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<CreatedApiKey, UseCaseError> {
        let label = in_field("label", KeyLabel::parse(&self.label))?;
        let scopes = self.scopes(&write.api.scopes)?;
        let caps = SpendCaps { daily: cap("daily_cap", self.daily_cap)?, total: cap("total_cap", self.total_cap)? };
        let key = ApiKeyId(write.fresh_id());
        let meaning = serde_json::json!([
            "createApiKey",
            label.as_ref(),
            self.environment,
            scopes,
            self.expires_at,
            self.daily_cap,
            self.total_cap
        ]);
        let sent = self.idempotency_key.as_deref();
        let idempotency = idempotency::key(write, self.account, sent, &meaning, key.to_string())?;
        let repeat =
            write.path.repeat::<Account>(idempotency.as_ref()).await.map_err(|error| error.map(Refusal::from))?;
        if let Some(Executed::Repeat { result, position }) = repeat {
            return repeated(&result, position);
        }
        let account = write.path.load::<Account>(&self.account.to_string()).await;
        allowed(write, account.map_err(|error| error.map(Refusal::from))?.state.plan())?;
        let (account, environment, expires_at) = (self.account, self.environment, self.expires_at);
        let issue = Issue { account, key, label, environment, scopes, expires_at, caps, replaces: None, idempotency };
        issue.run(write, context).await
    }

    fn scopes(&self, offered: &[KeyScope]) -> Result<Vec<KeyScope>, UseCaseError> {
        let Some(names) = &self.scopes else { return Ok(offered.to_vec()) };
        let known = offered.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
        if names.is_empty() || names.len() > KeyScope::ALL.len() {
            return Err(Refusal::field("scopes", format!("scopes must name one or more of {known}")).into());
        }
        let parse = |name: &String| {
            KeyScope::parse(name)
                .filter(|scope| offered.contains(scope))
                .ok_or_else(|| Refusal::field("scopes", format!("scopes may contain only {known}")).into())
        };
        names.iter().map(parse).collect()
    }
}

fn cap(field: &'static str, credits: Option<i64>) -> Result<Option<Credits>, UseCaseError> {
    let credits = credits.map(Credits::new);
    if credits.is_some_and(|cap| !cap.is_positive() || cap > Credits::MAX) {
        return Err(Refusal::field(field, format!("{field} must be 1 to {} credits", Credits::MAX)).into());
    }
    Ok(credits)
}
