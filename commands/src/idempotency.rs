//! What a client's idempotency key stands for: the key itself, and a keyed digest of the request's meaning (L04, L07).

use atelier_domain::{AccountId, Invalid, Reason};
use atelier_vault::credential_rows::RowError;
use sqlx::PgPool;

use crate::event_store::IdempotencyKey;
use crate::refusal::{Refusal, in_field};
use crate::write_side::WriteSide;

/// Keys ended in one statement: each is a short transaction, because an append with one of these keys waits for it.
const AT_ONCE: i32 = 2_000;
/// Statements of one round.
const STATEMENTS: u64 = 50;

/// Removes keys whose 24 hours are over (REQUIREMENTS 3.3), in bounded pieces; how many. From then on the same key is a new request.
///
/// # Errors
/// When the database failed; the next round goes on.
pub(crate) async fn expire(pool: &PgPool) -> Result<u64, RowError> {
    let mut removed = 0;
    for _ in 0..STATEMENTS {
        let expired: i64 =
            sqlx::query_scalar("select expire_idempotency_keys($1)").bind(AT_ONCE).fetch_one(pool).await?;
        removed += u64::try_from(expired).unwrap_or(0);
        if expired < i64::from(AT_ONCE) {
            break;
        }
    }
    Ok(removed)
}

/// A key as a client sent it: 1 to 200 of `A-Z a-z 0-9 . _ : -`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentKey<'a>(&'a str);

/// Checks the key that a client sent, if it sent one.
///
/// # Errors
/// The refusal of `idempotency_key`.
pub(crate) fn sent(key: Option<&str>) -> Result<Option<SentKey<'_>>, Refusal> {
    in_field("idempotency_key", key.map(checked).transpose())
}

fn checked(key: &str) -> Result<SentKey<'_>, Invalid> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    let says = "must have 1 to 200 of A-Z a-z 0-9 . _ : -";
    if !key.bytes().all(allowed) {
        return Err(Invalid::new(Reason::Characters, says));
    }
    match key.len() {
        0 => Err(Invalid::bounds(Reason::TooShort, &(1..=200), says)),
        1..=200 => Ok(SentKey(key)),
        _ => Err(Invalid::bounds(Reason::TooLong, &(1..=200), says)),
    }
}

/// The key as it rides on an append; `None` when the client sent none. `result` is what a repeat is answered with: ids only.
pub(crate) fn key(
    write: &WriteSide,
    account: AccountId,
    sent: Option<SentKey<'_>>,
    meaning: &serde_json::Value,
    result: String,
) -> Option<IdempotencyKey> {
    let SentKey(key) = sent?;
    let fingerprint = write.secrets.fingerprint(account, meaning.to_string().as_bytes());
    Some(IdempotencyKey { account, key: key.to_owned(), fingerprint, result })
}
