//! Data exports: the copies of everything that an account asked for, and where each is (U25).

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::account::AccountEvent;
use atelier_domain::policy::account::EXPORTS_KEPT;
use atelier_domain::{AccountId, Envelope, ExportId, LogEvent};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{ReadError, Snapshot};

/// The projection.
pub struct DataExports;

/// Its name.
pub const NAME: &str = "DataExports";

/// How many are shown, newest first: more than are ever there to be fetched.
const SHOWN: i64 = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    export_id: ExportId,
    account_id: Uuid,
    #[serde(serialize_with = "crate::carried::instant")]
    requested_at: DateTime<Utc>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    ready_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    failed_at: Option<DateTime<Utc>>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "data_exports_v1";
    const KEY: &'static str = "export_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.export_id.0
    }
}

#[async_trait]
impl Projection for DataExports {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[Row::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let ended = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Account(
                _,
                AccountEvent::DataExportReady { export_id, .. } | AccountEvent::DataExportFailed { export_id },
            ) => Some(export_id.0),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        });
        let mut rows = Rows::<Row>::load(connection, ended).await?;
        for envelope in events {
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            let at = envelope.decided_at;
            match &envelope.event {
                LogEvent::Account(account, AccountEvent::DataExportRequested { export_id }) => rows.put(Row {
                    export_id: *export_id,
                    account_id: account.0,
                    requested_at: at,
                    ready_at: None,
                    expires_at: None,
                    failed_at: None,
                }),
                LogEvent::Account(_, AccountEvent::DataExportReady { export_id, expires_at }) => {
                    if let Some(row) = rows.get_mut(export_id.0) {
                        (row.ready_at, row.expires_at) = (Some(at), Some(*expires_at));
                    }
                }
                LogEvent::Account(_, AccountEvent::DataExportFailed { export_id }) => {
                    if let Some(row) = rows.get_mut(export_id.0) {
                        row.failed_at = Some(at);
                    }
                }
                LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => {}
            }
        }
        rows.save(connection).await
    }
}

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportState {
    /// It is being made.
    Preparing,
    /// It can be fetched.
    Ready,
    /// It could not be made.
    Failed,
    /// Its time is over, or a newer one took its place.
    Expired,
}

/// A copy of everything, as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportView {
    /// The copy.
    pub export: ExportId,
    /// Where it is.
    pub state: ExportState,
    /// When it was asked for; what it holds is as of then.
    pub requested_at: DateTime<Utc>,
    /// When it was ready.
    pub ready_at: Option<DateTime<Utc>>,
    /// Until when it can be fetched.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An account's copies as of `now`, newest first, the last twenty. One is over from its instant on, removed or not.
///
/// # Errors
/// `Quarantined`; or when the database failed.
pub async fn of(snapshot: &mut Snapshot, account: AccountId, now: DateTime<Utc>) -> Result<Vec<ExportView>, ReadError> {
    snapshot.whole(NAME, account).await?;
    let sql = format!(
        "select row_to_json(t) from {} t where account_id = $1 order by requested_at desc, export_id desc limit $2",
        snapshot.table::<Row>()?
    );
    let rows: Vec<sqlx::types::Json<Row>> =
        sqlx::query_scalar(&sql).bind(account.0).bind(SHOWN).fetch_all(snapshot.connection()).await?;
    let mut kept = 0;
    let view = |sqlx::types::Json(row): sqlx::types::Json<Row>| {
        kept += usize::from(row.ready_at.is_some());
        let state = match (row.expires_at, row.failed_at) {
            (Some(until), _) if now < until && kept <= EXPORTS_KEPT => ExportState::Ready,
            (Some(_), _) => ExportState::Expired,
            (None, Some(_)) => ExportState::Failed,
            (None, None) => ExportState::Preparing,
        };
        let Row { export_id: export, requested_at, ready_at, expires_at, .. } = row;
        ExportView { export, state, requested_at, ready_at, expires_at }
    };
    Ok(rows.into_iter().map(view).collect())
}
