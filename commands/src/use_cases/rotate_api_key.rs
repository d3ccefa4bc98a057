//! `rotateApiKey`: a new key like an old one, which ends after an overlap (B18). Shown once, like every key.
//!
//! The new key has the old one's label, scopes, environment and caps, and spends on with what the old one has left of them: caps are
//! counted under the first key of the line, so that a rotation is no way around a cap.
//!
//! The event first, then the rows: both ends stand in one append, so no crash leaves a successor without its predecessor's end. What
//! happens when the process dies: before the event, the pending row is removed by the reconciler, and the old key goes on; after it, the
//! reconciler brings the old row's end forward and activates the new row (its secret unseen, to be revoked or rotated). Until then, ten
//! minutes and a round, the old key works on: never shorter than was asked for, and nobody was told that it had ended.

use atelier_domain::account::{Account, KeyExpiry, Replaced};
use atelier_domain::invalid::within;
use atelier_domain::text::KeyLabel;
use atelier_domain::{AccountId, ApiKeyId};
use atelier_vault::Opened;
use chrono::{DateTime, TimeDelta, Utc};

use super::issue_api_key::{CreatedApiKey, Issue, allowed, repeated, with_past};
use crate::command_path::{CommandContext, CommandError, Executed};
use crate::idempotency;
use crate::refusal::{Named, Refusal, UseCaseError, in_field, together};
use crate::write_side::WriteSide;

/// How long both keys work, in hours, when nothing is said.
const OVERLAP: i64 = 24;
/// The longest overlap, in hours.
const LONGEST: i64 = 168;

/// Replaces a key.
#[derive(Debug, Clone)]
pub struct RotateApiKey {
    /// Whose.
    pub account: AccountId,
    /// The old key.
    pub key: Named<ApiKeyId>,
    /// How long the old key still works, 0 to 168 hours; 24 when not given.
    pub overlap_hours: Option<i64>,
    /// The new key's end; when not given, the one the old key was made with, so that a rotation never outlives what was agreed. The end of
    /// an overlap is not that end: a key that is rotated twice gives two successors with its whole life.
    pub expires_at: Option<DateTime<Utc>>,
    /// A repeat with the same key and the same input is the same API key, without its secret.
    pub idempotency_key: Option<String>,
}

impl RotateApiKey {
    /// Runs the use case.
    ///
    /// # Errors
    /// `not_found` when the key is not the caller's or was revoked; `invalid_field` for the overlap or a past expiry;
    /// `limit_reached`; `plan_required` or `forbidden` as `createApiKey`.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<CreatedApiKey, UseCaseError> {
        let now = write.now();
        let (replaced, hours, ends, sent) = together((
            self.key,
            in_field("overlap_hours", within(self.overlap_hours.unwrap_or(OVERLAP), 0..=LONGEST, "")),
            in_field("expires_at", self.expires_at.map(|at| KeyExpiry::parse(at, now)).transpose()),
            idempotency::sent(self.idempotency_key.as_deref()),
        ))
        .map_err(|refusal| with_past(refusal, self.expires_at, now))?;
        let key = ApiKeyId(write.fresh_id());
        let meaning = serde_json::json!(["rotateApiKey", replaced, hours, ends.map(KeyExpiry::get)]);
        let idempotency =
            idempotency::key(write, self.account, idempotency::ROTATE_API_KEY, sent, &meaning, key.to_string());
        let repeat =
            write.path.repeat::<Account>(idempotency.as_ref()).await.map_err(|error| error.map(Refusal::from))?;
        if let Some(Executed::Repeat { result, position }) = repeat {
            return repeated(&result, position);
        }
        let loaded = write.path.load::<Account>(&self.account.to_string()).await;
        let account = loaded.map_err(|error| error.map(Refusal::from))?.state;
        allowed(write, account.plan())?;
        let old = account.api_key(&replaced).ok_or_else(|| Refusal::unknown_id("id"))?;
        let expires_at = ends.or_else(|| old.agreed_end.map(|at| KeyExpiry::inherited(at, now)));
        let label = match &old.label {
            Some(sealed) => write.vault.open(self.account, "label", sealed).await,
            None => Ok(Opened::Erased),
        };
        let label = match label.map_err(|error| CommandError::Internal(error.to_string()))? {
            Opened::Text(text) => KeyLabel::stored(text),
            Opened::Erased => return Err(CommandError::Erased),
        };
        let issue = Issue {
            account: self.account,
            key,
            label: Some(label),
            environment: old.environment,
            scopes: old.scopes.clone(),
            expires_at,
            caps: old.caps,
            replaces: Some(Replaced { key_id: replaced, ends_at: now + TimeDelta::hours(hours) }),
            idempotency,
        };
        issue.run(write, context).await
    }
}
