//! API keys: what the list shows of each; never its secret (B04, V28). Whether one counts is decided by its row, never by this list.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::account::{AccountEvent, KeyScope, SpendCaps};
use atelier_domain::{AccountId, ApiKeyId, Credits, Envelope, Environment, LogEvent, Sealed};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::cursor::Cursor;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{Page, ReadError, Snapshot};

/// The projection.
pub struct ApiKeys;

/// Its name.
pub const NAME: &str = "ApiKeys";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    key_id: Uuid,
    account_id: Uuid,
    label: Sealed,
    prefix: String,
    last4: String,
    environment: Environment,
    scopes: Vec<KeyScope>,
    daily_cap: Option<Credits>,
    total_cap: Option<Credits>,
    replaces: Option<Uuid>,
    replaced_by: Option<Uuid>,
    #[serde(serialize_with = "crate::carried::instant")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    revoked_at: Option<DateTime<Utc>>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "api_keys_v2";
    const KEY: &'static str = "key_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.key_id
    }
}

#[async_trait]
impl Projection for ApiKeys {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[Row::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let known = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Account(_, AccountEvent::ApiKeyRevoked { key_id })
            | LogEvent::Account(_, AccountEvent::ApiKeyExpiryChanged { key_id, .. }) => Some(key_id.0),
            LogEvent::Account(_, AccountEvent::ApiKeyCreated { replaces, .. }) => replaces.map(|key| key.0),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        });
        let mut rows = Rows::<Row>::load(connection, known).await?;
        for envelope in events {
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            match &envelope.event {
                LogEvent::Account(account, event @ AccountEvent::ApiKeyCreated { .. }) => {
                    if let Some(row) = created(*account, event, envelope.decided_at) {
                        if let Some(replaced) = row.replaces.and_then(|replaced| rows.get_mut(replaced)) {
                            replaced.replaced_by = Some(row.key_id);
                        }
                        rows.put(row);
                    }
                }
                LogEvent::Account(_, AccountEvent::ApiKeyExpiryChanged { key_id, expires_at }) => {
                    if let Some(row) = rows.get_mut(key_id.0) {
                        row.expires_at = Some(*expires_at);
                    }
                }
                LogEvent::Account(_, AccountEvent::ApiKeyRevoked { key_id }) => {
                    if let Some(row) = rows.get_mut(key_id.0) {
                        row.revoked_at = Some(envelope.decided_at);
                    }
                }
                LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => {}
            }
        }
        rows.save(connection).await
    }
}

fn created(account: AccountId, event: &AccountEvent, at: DateTime<Utc>) -> Option<Row> {
    let AccountEvent::ApiKeyCreated { key_id, label, prefix, last4, environment, scopes, expires_at, caps, replaces } =
        event
    else {
        return None;
    };
    Some(Row {
        key_id: key_id.0,
        account_id: account.0,
        label: label.sealed()?.clone(),
        prefix: prefix.clone(),
        last4: last4.clone(),
        environment: *environment,
        scopes: scopes.clone(),
        daily_cap: caps.daily,
        total_cap: caps.total,
        replaces: replaces.map(|key| key.0),
        replaced_by: None,
        created_at: at,
        expires_at: *expires_at,
        revoked_at: None,
    })
}

/// Whether a key works, as far as its owner decides; what a plan or the deployment refuses beside is not its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It works.
    Active,
    /// Its end has come.
    Expired,
    /// It was revoked.
    Revoked,
}

/// A key of the list.
#[derive(Debug, Clone)]
pub struct ApiKeyView {
    /// The key.
    pub key: ApiKeyId,
    /// What its owner calls it; `None` once it is erased.
    pub label: Option<String>,
    /// The start of the key.
    pub prefix: String,
    /// The end of the key.
    pub last4: String,
    /// Live or test.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// How much it may spend.
    pub caps: SpendCaps,
    /// The key it took over from.
    pub replaces: Option<ApiKeyId>,
    /// The key that took over from it, the last if several did.
    pub replaced_by: Option<ApiKeyId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its end, if any.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKeyView {
    /// What has become of the key by now. A revocation counts whenever it came: it is the owner's word.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> KeyStatus {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyStatus::Revoked,
            (None, Some(end)) if end <= now => KeyStatus::Expired,
            (None, _) => KeyStatus::Active,
        }
    }
}

async fn open(snapshot: &Snapshot, row: Row) -> Result<ApiKeyView, ReadError> {
    Ok(ApiKeyView {
        key: ApiKeyId(row.key_id),
        label: snapshot.open(AccountId(row.account_id), "label", &row.label).await?,
        prefix: row.prefix,
        last4: row.last4,
        environment: row.environment,
        scopes: row.scopes,
        caps: SpendCaps { daily: row.daily_cap, total: row.total_cap },
        replaces: row.replaces.map(ApiKeyId),
        replaced_by: row.replaced_by.map(ApiKeyId),
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    })
}

/// One key of an account; `None` when it is not there, or somebody else's.
///
/// # Errors
/// When the database failed or the label cannot be opened.
pub async fn find(snapshot: &mut Snapshot, account: AccountId, key: ApiKeyId) -> Result<Option<ApiKeyView>, ReadError> {
    let row = snapshot.rows::<Row>([key.0]).await?.remove(key.0);
    match row.filter(|row| row.account_id == account.0) {
        Some(row) => Ok(Some(open(snapshot, row).await?)),
        None => Ok(None),
    }
}

/// A page of an account's keys, newest first; revoked ones stay visible.
///
/// # Errors
/// `BadCursor`; `Quarantined`; or when the database failed or a label cannot be opened.
pub async fn page(
    snapshot: &mut Snapshot,
    account: AccountId,
    first: usize,
    after: Option<&str>,
) -> Result<Page<ApiKeyView>, ReadError> {
    snapshot.whole(NAME, account).await?;
    let after = snapshot.cursor(after)?;
    let sql = format!(
        "select row_to_json(t) from {} t where account_id = $1 \
         and ($2::timestamptz is null or (created_at, key_id) < ($2, $3)) order by created_at desc, key_id desc limit $4",
        snapshot.table::<Row>()?
    );
    let rows: Vec<sqlx::types::Json<Row>> = sqlx::query_scalar(&sql)
        .bind(account.0)
        .bind(after.map(|cursor| cursor.at))
        .bind(after.map(|cursor| cursor.id))
        .bind(i64::try_from(first).unwrap_or(i64::MAX - 1) + 1)
        .fetch_all(snapshot.connection())
        .await?;
    let mut keys = Vec::with_capacity(rows.len());
    for sqlx::types::Json(row) in rows {
        let cursor = Cursor { at: row.created_at, id: row.key_id };
        keys.push((cursor, open(snapshot, row).await?));
    }
    Ok(snapshot.page(keys, first))
}
