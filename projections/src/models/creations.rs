//! My Creations: an account's jobs with where each is, newest first (A27-A31); also what a job's own address shows.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::credit_ledger::CreditLedgerEvent;
use atelier_domain::generation::{FailureReason, GenerationEvent, Output, Status};
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::{AccountId, Credits, Envelope, Environment, GenerationId, LogEvent, Sealed};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::cursor::Cursor;
use crate::quarantine;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{Page, ReadError, Snapshot};

/// The projection.
pub struct Creations;

/// Its name.
pub const NAME: &str = "Creations";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    generation_id: Uuid,
    account_id: Uuid,
    environment: Environment,
    status: Status,
    model: String,
    media_type: MediaType,
    prompt: Sealed,
    #[serde(serialize_with = "crate::carried::integer")]
    width: u32,
    #[serde(serialize_with = "crate::carried::integer")]
    height: u32,
    #[serde(serialize_with = "crate::carried::integer")]
    num_images: u32,
    #[serde(serialize_with = "crate::carried::bigint")]
    seed: u64,
    price: Credits,
    captured: Option<Credits>,
    settled: bool,
    published: bool,
    failure: Option<FailureReason>,
    outputs: Vec<Output>,
    #[serde(serialize_with = "crate::carried::instant")]
    requested_at: DateTime<Utc>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    ended_at: Option<DateTime<Utc>>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "creations_v1";
    const KEY: &'static str = "generation_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.generation_id
    }
}

#[async_trait]
impl Projection for Creations {
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
        let concerned = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Generation(generation, _) => Some(generation.0),
            LogEvent::CreditLedger(_, event) => settled(event).map(|(generation, _)| generation.0),
            LogEvent::Account(..) => None,
        });
        let mut rows = Rows::<Row>::load(connection, concerned).await?;
        for envelope in events {
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            match &envelope.event {
                LogEvent::Generation(generation, event) => fold(&mut rows, *generation, event, envelope.decided_at),
                LogEvent::CreditLedger(_, event) => {
                    let Some((generation, captured)) = settled(event) else { continue };
                    if let Some(row) = rows.get_mut(generation.0) {
                        row.settled = true;
                        row.captured = Some(captured);
                    }
                }
                LogEvent::Account(..) => {}
            }
        }
        rows.save(connection).await
    }
}

/// The end of a job's hold: the job, and what was paid.
pub(crate) fn settled(event: &CreditLedgerEvent) -> Option<(GenerationId, Credits)> {
    match event {
        CreditLedgerEvent::HoldCaptured { generation_id, captured, .. } => Some((*generation_id, *captured)),
        CreditLedgerEvent::HoldVoided { generation_id, .. } => Some((*generation_id, Credits::ZERO)),
        CreditLedgerEvent::CreditsGranted { .. }
        | CreditLedgerEvent::HoldPlaced { .. }
        | CreditLedgerEvent::LotExpired { .. }
        | CreditLedgerEvent::LedgerClosed { .. } => None,
    }
}

fn fold(rows: &mut Rows<Row>, generation: GenerationId, event: &GenerationEvent, at: DateTime<Utc>) {
    let key = generation.0;
    match event {
        GenerationEvent::GenerationRequested { terms, prompt } => {
            let Some(prompt) = prompt.sealed().cloned() else { return };
            rows.put(Row {
                generation_id: generation.0,
                account_id: terms.account_id.0,
                environment: terms.environment,
                status: Status::Queued,
                model: terms.model.clone(),
                media_type: terms.media_type,
                prompt,
                width: terms.width,
                height: terms.height,
                num_images: terms.num_images,
                seed: terms.seed,
                price: terms.price,
                captured: None,
                settled: false,
                published: false,
                failure: None,
                outputs: Vec::new(),
                requested_at: at,
                ended_at: None,
            });
        }
        GenerationEvent::GenerationDeleted {} => {
            rows.remove(key);
        }
        GenerationEvent::GenerationAbandoned {} => {}
        GenerationEvent::GenerationStarted { .. }
        | GenerationEvent::GenerationSucceeded { .. }
        | GenerationEvent::GenerationFailed { .. }
        | GenerationEvent::GenerationCancelled {}
        | GenerationEvent::GenerationPublished {} => {
            if let Some(row) = rows.get_mut(key) {
                move_on(row, event, at);
            }
        }
    }
}

fn move_on(row: &mut Row, event: &GenerationEvent, at: DateTime<Utc>) {
    match event {
        GenerationEvent::GenerationStarted { .. } => row.status = Status::Running,
        GenerationEvent::GenerationSucceeded { outputs, .. } => {
            row.status = Status::Succeeded;
            row.outputs.clone_from(outputs);
            row.ended_at = Some(at);
        }
        GenerationEvent::GenerationFailed { reason } => {
            row.status = Status::Failed;
            row.failure = Some(*reason);
            row.ended_at = Some(at);
        }
        GenerationEvent::GenerationCancelled {} => {
            row.status = Status::Cancelled;
            row.ended_at = Some(at);
        }
        GenerationEvent::GenerationPublished {} => row.published = true,
        GenerationEvent::GenerationRequested { .. }
        | GenerationEvent::GenerationAbandoned {}
        | GenerationEvent::GenerationDeleted {} => {}
    }
}

/// A job, opened for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationView {
    /// The job.
    pub generation: GenerationId,
    /// Whose it is.
    pub account: AccountId,
    /// Live or test.
    pub environment: Environment,
    /// Where it is.
    pub status: Status,
    /// The model.
    pub model: String,
    /// What it makes.
    pub media_type: MediaType,
    /// The prompt; `None` once it is erased.
    pub prompt: Option<String>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How many outputs were asked for.
    pub num_images: u32,
    /// The seed (U48).
    pub seed: u64,
    /// What was held.
    pub price: Credits,
    /// What was paid, once the hold has ended.
    pub captured: Option<Credits>,
    /// Whether the hold has ended.
    pub settled: bool,
    /// Whether it is in Explore.
    pub published: bool,
    /// Why it failed.
    pub failure: Option<FailureReason>,
    /// The files.
    pub outputs: Vec<Output>,
    /// When it was accepted.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

async fn open(snapshot: &Snapshot, row: Row) -> Result<CreationView, ReadError> {
    let account = AccountId(row.account_id);
    Ok(CreationView {
        prompt: snapshot.open(account, "prompt", &row.prompt).await?,
        generation: GenerationId(row.generation_id),
        account,
        environment: row.environment,
        status: row.status,
        model: row.model,
        media_type: row.media_type,
        width: row.width,
        height: row.height,
        num_images: row.num_images,
        seed: row.seed,
        price: row.price,
        captured: row.captured,
        settled: row.settled,
        published: row.published,
        failure: row.failure,
        outputs: row.outputs,
        requested_at: row.requested_at,
        ended_at: row.ended_at,
    })
}

/// One job, if it is there and has not been deleted. Whether the asker may see it is the asker's to check. While its owner is in
/// quarantine it is there for nobody else, and so is every job that is not there for a viewer in quarantine: it may be theirs.
///
/// # Errors
/// `Quarantined`, for its owner; or when the database failed or the prompt cannot be opened.
pub async fn find(
    snapshot: &mut Snapshot,
    generation: GenerationId,
    viewer: Option<AccountId>,
) -> Result<Option<CreationView>, ReadError> {
    let row = snapshot.rows::<Row>([generation.0]).await?.remove(generation.0);
    let owner = row.as_ref().map(|row| AccountId(row.account_id));
    if let Some(viewer) = viewer.filter(|viewer| owner.is_none_or(|owner| owner == *viewer)) {
        snapshot.whole(NAME, viewer).await?;
    }
    match row {
        Some(row) if !snapshot.left_out(NAME, &[AccountId(row.account_id)]).await?.is_empty() => Ok(None),
        Some(row) => Ok(Some(open(snapshot, row).await?)),
        None => Ok(None),
    }
}

/// The job behind a link, whose holder may see it as its owner may.
///
/// # Errors
/// `Quarantined`, while its owner is, whether the job was folded or not; or when the database failed or the prompt cannot be opened.
pub async fn behind_link(snapshot: &mut Snapshot, generation: GenerationId) -> Result<Option<CreationView>, ReadError> {
    let row = snapshot.rows::<Row>([generation.0]).await?.remove(generation.0);
    let owner = match &row {
        Some(row) => Some(AccountId(row.account_id)),
        None if snapshot.partial(NAME).is_some() => quarantine::owner_of(snapshot.connection(), generation).await?,
        None => None,
    };
    if let Some(owner) = owner {
        snapshot.whole(NAME, owner).await?;
    }
    match row {
        Some(row) => Ok(Some(open(snapshot, row).await?)),
        None => Ok(None),
    }
}

/// Which of an account's jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreationFilter {
    /// Of one media type.
    pub media_type: Option<MediaType>,
    /// In one state.
    pub status: Option<Status>,
}

/// A page of an account's jobs, newest first; the filter applies before the page is cut (A29).
///
/// # Errors
/// `BadCursor`; `Quarantined`; or when the database failed or a prompt cannot be opened.
pub async fn page(
    snapshot: &mut Snapshot,
    account: AccountId,
    environment: Environment,
    filter: CreationFilter,
    first: usize,
    after: Option<&str>,
) -> Result<Page<CreationView>, ReadError> {
    snapshot.whole(NAME, account).await?;
    let after = snapshot.cursor(after)?;
    let sql = format!(
        "select row_to_json(t) from {} t \
         where account_id = $1 and environment = $2 and ($3::text is null or media_type = $3) \
         and ($4::timestamptz is null or (requested_at, generation_id) < ($4, $5)) and ($7::text is null or status = $7) \
         order by requested_at desc, generation_id desc limit $6",
        snapshot.table::<Row>()?
    );
    let rows: Vec<sqlx::types::Json<Row>> = sqlx::query_scalar(&sql)
        .bind(account.0)
        .bind(environment.as_str())
        .bind(filter.media_type.map(MediaType::as_str))
        .bind(after.map(|cursor| cursor.at))
        .bind(after.map(|cursor| cursor.id))
        .bind(i64::try_from(first).unwrap_or(i64::MAX - 1) + 1)
        .bind(filter.status.map(Status::as_str))
        .fetch_all(snapshot.connection())
        .await?;
    let mut opened = Vec::with_capacity(rows.len());
    for sqlx::types::Json(row) in rows {
        let cursor = Cursor { at: row.requested_at, id: row.generation_id };
        opened.push((cursor, open(snapshot, row).await?));
    }
    Ok(snapshot.page(opened, first))
}
