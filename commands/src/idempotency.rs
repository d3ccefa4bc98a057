//! What a client's idempotency key stands for: a keyed hash of the key, and another of the request's meaning (L04, L07). The key itself is
//! text of the client's, which may say anything, so it is stored nowhere.

use atelier_domain::{AccountId, Invalid, Reason};
use atelier_vault::credential_rows::RowError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::event_store::IdempotencyKey;
use crate::refusal::{Refusal, in_field};
use crate::write_side::WriteSide;

/// Keys ended in one statement: each is a short transaction, because an append with one of these keys waits for it.
const AT_ONCE: i32 = 2_000;
/// Statements of one round.
const STATEMENTS: u64 = 50;

/// Removes keys whose 24 hours are over (REQUIREMENTS 3.3), and from 24 hours after the upgrade on all that stand in the clear; in bounded
/// pieces; how many. From then on the same key is a new request.
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

/// Removes the keys of an account that is being deleted: those of an earlier release stand in the clear, and none counts any more.
///
/// # Errors
/// When the database failed.
pub(crate) async fn forget(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("select forget_idempotency_keys($1)").bind(account.0).execute(pool).await?;
    Ok(())
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

/// A kind of request: the same key under two kinds is two keys. REST and GraphQL share each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name; it goes into the stored form of its keys, so it never changes.
    pub name: &'static str,
    /// Whether releases before 2026-11-30 knew keys of this kind, and stored them in the clear.
    pub was_clear: bool,
}

impl Kind {
    /// A kind whose keys have only ever been stored as hashes.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, was_clear: false }
    }

    const fn of_old(name: &'static str) -> Self {
        Self { name, was_clear: true }
    }
}

/// `requestGeneration`, `POST /v1/generate` and `POST /v1/generations`.
pub const REQUEST_GENERATION: Kind = Kind::of_old("requestGeneration");
/// `cancelGeneration` and `POST /v1/generations/{id}/cancel`.
pub const CANCEL_GENERATION: Kind = Kind::of_old("cancelGeneration");
/// `deleteGeneration` and `DELETE /v1/generations/{id}`.
pub const DELETE_GENERATION: Kind = Kind::new("deleteGeneration");
/// `changePassword`.
pub(crate) const CHANGE_PASSWORD: Kind = Kind::new("changePassword");
/// The same with `revokeApiKeys`.
pub(crate) const CHANGE_PASSWORD_AND_END_KEYS: Kind = Kind::new("changePassword, revokeApiKeys");
/// `createApiKey`.
pub const CREATE_API_KEY: Kind = Kind::of_old("createApiKey");
/// `rotateApiKey`.
pub const ROTATE_API_KEY: Kind = Kind::of_old("rotateApiKey");
/// A change of a password, under its own id.
pub(crate) const RECORD_PASSWORD: Kind = Kind::of_old("recordPassword");
/// Work that asks for a password reset, under its own id.
pub(crate) const START_RESET: Kind = Kind::of_old("startPasswordReset");

/// Until when keys that stand in the clear count, which is 24 hours after the upgrade to keyed hashes. Nodes read it once, when they start.
///
/// # Errors
/// When the database failed.
pub async fn clear_until(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("select clear_until from idempotency_upgrade").fetch_one(pool).await
}

/// An id that stands for a client's key, for what is recorded once under an id of its own.
pub(crate) fn id(write: &WriteSide, account: AccountId, kind: Kind, SentKey(sent): SentKey<'_>) -> Uuid {
    write.secrets.idempotency_id(account, kind.name, sent)
}

/// The key of a whole request, for [`crate::CommandContext`]; `meaning` is what a repeat must match.
///
/// # Errors
/// The refusal of `idempotency_key`.
pub fn of_request(
    write: &WriteSide,
    account: AccountId,
    kind: Kind,
    sent: Option<&str>,
    meaning: &serde_json::Value,
) -> Result<Option<IdempotencyKey>, Refusal> {
    Ok(key(write, account, kind, self::sent(sent)?, meaning, String::new()))
}

/// The key as it rides on an append; `None` when the client sent none. `result` is what a repeat is answered with: ids only.
pub(crate) fn key(
    write: &WriteSide,
    account: AccountId,
    kind: Kind,
    sent: Option<SentKey<'_>>,
    meaning: &serde_json::Value,
    result: String,
) -> Option<IdempotencyKey> {
    let SentKey(sent) = sent?;
    let fingerprint = write.secrets.fingerprint(account, meaning.to_string().as_bytes());
    let key = write.secrets.idempotency_key(account, kind.name, sent);
    let clear = (kind.was_clear && write.now() < write.clear_keys_until).then(|| sent.to_owned());
    Some(IdempotencyKey { account, key, clear, fingerprint, result })
}
