//! What a client's idempotency key stands for: the key itself, and a keyed digest of the request's meaning (L04, L07).

use atelier_domain::AccountId;

use crate::event_store::IdempotencyKey;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// The key as it rides on an append; `None` when the client sent none. `result` is what a repeat is answered with: ids only.
pub(crate) fn key(
    write: &WriteSide,
    account: AccountId,
    sent: Option<&str>,
    meaning: &serde_json::Value,
    result: String,
) -> Result<Option<IdempotencyKey>, UseCaseError> {
    let Some(key) = sent else { return Ok(None) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    if key.is_empty() || key.len() > 200 || !key.bytes().all(allowed) {
        return Err(
            Refusal::field("idempotency_key", "idempotency_key must have 1 to 200 of A-Z a-z 0-9 . _ : -").into()
        );
    }
    let fingerprint = write.secrets.fingerprint(account, meaning.to_string().as_bytes());
    Ok(Some(IdempotencyKey { account, key: key.to_owned(), fingerprint, result }))
}
