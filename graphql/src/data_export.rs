//! Copies of everything an account has, as their owner sees them (U25).

use async_graphql::{Context, Enum, ID, Result, SimpleObject};
use atelier_commands::export_link;
use atelier_commands::ports::{ExportKey, MediaObject};
use atelier_domain::AccountId;
use atelier_projections::models::data_exports::{self, ExportState as State, ExportView};
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::global_id::GlobalId;
use crate::number::Long;
use crate::reading::Reading;

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "State")]
pub enum ExportState {
    /// It is being made.
    Preparing,
    /// It can be fetched.
    Ready,
    /// It could not be made; another one may be asked for.
    Failed,
    /// Its time is over, or a newer one took its place.
    Expired,
}

/// A copy of everything an account has.
#[derive(SimpleObject)]
pub struct DataExport {
    /// The copy's id.
    id: ID,
    /// Where it is.
    state: ExportState,
    /// When it was asked for; what it holds is as of then.
    requested_at: DateTime<Utc>,
    /// When it was ready.
    ready_at: Option<DateTime<Utc>>,
    /// Until when it can be fetched.
    expires_at: Option<DateTime<Utc>>,
    /// The zip's size in bytes, while it can be fetched.
    bytes: Option<Long>,
    /// Where it is fetched, in a session of its owner, while it can be; for anybody else there is nothing.
    url: Option<String>,
}

/// The copies of an account, newest first.
pub(crate) async fn of(context: &Context<'_>, reading: &Reading, account: AccountId) -> Result<Vec<DataExport>> {
    let write = &context.data::<Sides>()?.write;
    let now = write.now();
    let views = reading.read(async |snapshot| data_exports::of(snapshot, account, now).await).await?;
    let mut all = Vec::with_capacity(views.len());
    for ExportView { export, state, requested_at, ready_at, expires_at } in views {
        let ready = state == State::Ready;
        let object = MediaObject::Export(ExportKey { account, export });
        let found = if ready { write.ports.media.find(&object).await } else { Ok(None) };
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the size of a data export cannot be read");
            None
        });
        all.push(DataExport {
            id: GlobalId::Export(export).into(),
            state: state.into(),
            requested_at,
            ready_at,
            expires_at,
            bytes: found.map(|found| Long::of(found.bytes)),
            url: ready.then(|| export_link::url(write, export)),
        });
    }
    Ok(all)
}
