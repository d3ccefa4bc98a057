//! `createApiKey`: a key whose secret is shown once (B03, B04, V28). The row waits, the event is appended, the row counts.
//!
//! What happens when the process dies: before the event, the pending row is removed by the reconciler; after it, the row is
//! activated by the reconciler, and the key stands in the list, its secret unseen, to be revoked.

use atelier_domain::account::{Account, KeyExpiry, KeyScope, SpendCaps};
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId, Environment, Invalid, Reason};
use chrono::{DateTime, Utc};

use super::issue_api_key::{CreatedApiKey, Issue, allowed, repeated, with_past};
use crate::command_path::{CommandContext, Executed};
use crate::idempotency;
use crate::refusal::{Refusal, UseCaseError, each, in_field, together};
use crate::write_side::WriteSide;

/// Makes a key.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it; "API key" and a number when not given (C16).
    pub label: Option<String>,
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
    /// `invalid_field` for the label, an unknown scope (V29), a cap that is none, an end that is past or over ten years ahead; `email_not_verified`;
    /// `limit_reached`; `plan_required` or `forbidden` where accounts like this one have no API access (V27).
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<CreatedApiKey, UseCaseError> {
        let now = write.now();
        let ends = self.expires_at.map(|at| KeyExpiry::parse(at, now)).transpose();
        let cap = |credits: Option<i64>| credits.map(SpendCaps::cap).transpose();
        let (label, scopes, ends, daily, total, sent) = together((
            in_field("label", self.label.as_deref().map(KeyLabel::parse).transpose()),
            self.scopes(&write.api.scopes),
            in_field("expires_at", ends),
            in_field("daily_cap", cap(self.daily_cap)),
            in_field("total_cap", cap(self.total_cap)),
            idempotency::sent(self.idempotency_key.as_deref()),
        ))
        .map_err(|refusal| with_past(refusal, self.expires_at, now))?;
        let caps = SpendCaps { daily, total };
        let key = ApiKeyId(write.fresh_id());
        let meaning = serde_json::json!([
            "createApiKey",
            label.as_ref().map(KeyLabel::as_ref),
            self.environment,
            scopes,
            ends.map(KeyExpiry::get),
            self.daily_cap,
            self.total_cap
        ]);
        let idempotency =
            idempotency::key(write, self.account, idempotency::CREATE_API_KEY, sent, &meaning, key.to_string());
        let repeat =
            write.path.repeat::<Account>(idempotency.as_ref()).await.map_err(|error| error.map(Refusal::from))?;
        if let Some(Executed::Repeat { result, position }) = repeat {
            return repeated(&result, position);
        }
        let account = write.path.load::<Account>(&self.account.to_string()).await;
        allowed(write, account.map_err(|error| error.map(Refusal::from))?.state.plan())?;
        let (account, environment) = (self.account, self.environment);
        let issue =
            Issue { account, key, label, environment, scopes, expires_at: ends, caps, replaces: None, idempotency };
        issue.run(write, context).await
    }

    fn scopes(&self, offered: &[KeyScope]) -> Result<Vec<KeyScope>, Refusal> {
        let Some(names) = &self.scopes else { return Ok(offered.to_vec()) };
        let most = KeyScope::ALL.len();
        let few = if names.is_empty() { Some(Reason::TooFew) } else { None };
        if let Some(reason) = few.or((names.len() > most).then_some(Reason::TooMany)) {
            let says = format!("must be 1 to {most}");
            return Err(Refusal::value("scopes", Invalid::bounds(reason, &(1..=most as i64), says)));
        }
        each(names.iter().enumerate().map(|(number, name)| {
            KeyScope::parse(name).filter(|scope| offered.contains(scope)).ok_or_else(|| {
                let known = offered.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
                let invalid = Invalid::new(Reason::Unknown, format!("may contain only {known}"));
                Refusal::value(format!("scopes.{number}"), invalid)
            })
        }))
    }
}
