//! Sessions: which sign-ins of an account are alive (V09). Whether one counts is decided by its row, never by this list.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::account::AccountEvent;
use atelier_domain::{AccountId, Envelope, LogEvent, Sealed, SessionId};
use atelier_vault::credential_rows::{self, sessions::SessionDetails};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{ReadError, Snapshot};

/// The projection.
pub struct Sessions;

/// Its name.
pub const NAME: &str = "Sessions";

/// A session of the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionView {
    /// The session.
    pub session_id: SessionId,
    account_id: Uuid,
    /// When it started.
    #[serde(serialize_with = "crate::carried::instant")]
    pub started_at: DateTime<Utc>,
    /// Its absolute end.
    #[serde(serialize_with = "crate::carried::instant")]
    pub expires_at: DateTime<Utc>,
}

impl ReadRow for SessionView {
    type Key = Uuid;
    const TABLE: &'static str = "sessions_v1";
    const KEY: &'static str = "session_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.session_id.0
    }
}

#[async_trait]
impl Projection for Sessions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[SessionView::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let ended = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Account(_, AccountEvent::SessionEnded { session_id, .. }) => Some(session_id.0),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        });
        let mut rows = Rows::<SessionView>::load(connection, ended).await?;
        for envelope in events {
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            match &envelope.event {
                LogEvent::Account(account, AccountEvent::SessionStarted { session_id, expires_at }) => {
                    rows.put(SessionView {
                        session_id: *session_id,
                        account_id: account.0,
                        started_at: envelope.decided_at,
                        expires_at: *expires_at,
                    })
                }
                LogEvent::Account(_, AccountEvent::SessionEnded { session_id, .. }) => {
                    rows.remove(session_id.0);
                }
                LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => {}
            }
        }
        rows.save(connection).await
    }
}

/// A session as its owner sees it.
#[derive(Debug, Clone)]
pub struct ListedSession {
    /// The session.
    pub session: SessionId,
    /// The device, coarse.
    pub device: Option<String>,
    /// The place, coarse.
    pub place: Option<String>,
    /// When it was last used, as far as was written down.
    pub last_active_at: DateTime<Utc>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its absolute end.
    pub expires_at: DateTime<Utc>,
}

/// An account's sessions that count, newest first; the account keeps at most a hundred. The list is the log's, and whether one of it
/// counts, and from where it was used when, is its row's: one that was revoked a moment ago is not shown.
///
/// # Errors
/// `Quarantined`; or when the database failed.
pub async fn of(
    snapshot: &mut Snapshot,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Vec<ListedSession>, ReadError> {
    snapshot.whole(NAME, account).await?;
    let sql = format!(
        "select row_to_json(t) from {} t where account_id = $1 and expires_at > $2 \
         order by started_at desc, session_id desc limit 100",
        snapshot.table::<SessionView>()?
    );
    let rows: Vec<sqlx::types::Json<SessionView>> =
        sqlx::query_scalar(&sql).bind(account.0).bind(now).fetch_all(snapshot.connection()).await?;
    let details = credential_rows::sessions::details(&mut *snapshot.connection(), account, now).await?;
    let mut details: HashMap<SessionId, SessionDetails> =
        details.into_iter().map(|details| (details.session, details)).collect();
    let mut listed = Vec::new();
    for sqlx::types::Json(SessionView { session_id, started_at, expires_at, .. }) in rows {
        let Some(SessionDetails { session, device, place, last_active_at }) = details.remove(&session_id) else {
            continue;
        };
        let device = opened(snapshot, account, "device", device).await?;
        let place = opened(snapshot, account, "place", place).await?;
        listed.push(ListedSession { session, device, place, last_active_at, started_at, expires_at });
    }
    Ok(listed)
}

async fn opened(
    snapshot: &Snapshot,
    account: AccountId,
    field: &str,
    sealed: Option<Sealed>,
) -> Result<Option<String>, ReadError> {
    match sealed {
        Some(sealed) => snapshot.open(account, field, &sealed).await,
        None => Ok(None),
    }
}
