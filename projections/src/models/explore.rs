//! The Explore feed and the published work of a creator: one predicate, newest first (A20, A23, U05-U07).

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::generation::{GenerationEvent, Output};
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::{AccountId, Envelope, GenerationId, LogEvent, Sealed};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::account_end::drop_rows;
use crate::cursor::Cursor;
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{Page, ReadError, Snapshot};

/// The projection.
pub struct Explore;

/// Its name.
pub const NAME: &str = "Explore";

/// A job that will be published when it succeeds, or is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    generation_id: Uuid,
    account_id: Uuid,
    model: String,
    media_type: MediaType,
    prompt: Sealed,
    #[serde(serialize_with = "crate::carried::integer")]
    width: u32,
    #[serde(serialize_with = "crate::carried::integer")]
    height: u32,
    outputs: Vec<Output>,
    #[serde(serialize_with = "crate::carried::maybe_instant")]
    published_at: Option<DateTime<Utc>>,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "explore_v1";
    const KEY: &'static str = "generation_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.generation_id
    }
}

#[async_trait]
impl Projection for Explore {
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
        let generations = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Generation(generation, _) => Some(generation.0),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) => None,
        });
        let mut rows = Rows::<Row>::load(connection, generations).await?;
        for envelope in events {
            drop_rows(&mut rows, &envelope.event, |row, account| row.account_id == account.0);
            if let LogEvent::Generation(generation, event) = &envelope.event {
                fold(&mut rows, *generation, event, envelope.decided_at);
            }
        }
        rows.save(connection).await
    }
}

fn fold(rows: &mut Rows<Row>, generation: GenerationId, event: &GenerationEvent, at: DateTime<Utc>) {
    let key = generation.0;
    match event {
        GenerationEvent::GenerationRequested { terms, prompt } if terms.publish => {
            let Some(prompt) = prompt.sealed().cloned() else { return };
            rows.put(Row {
                generation_id: generation.0,
                account_id: terms.account_id.0,
                model: terms.model.clone(),
                media_type: terms.media_type,
                prompt,
                width: terms.width,
                height: terms.height,
                outputs: Vec::new(),
                published_at: None,
            });
        }
        GenerationEvent::GenerationSucceeded { outputs, .. } => {
            if let Some(row) = rows.get_mut(key) {
                row.outputs.clone_from(outputs);
            }
        }
        GenerationEvent::GenerationPublished {} => {
            if let Some(row) = rows.get_mut(key) {
                row.published_at = Some(at);
            }
        }
        GenerationEvent::GenerationFailed { .. }
        | GenerationEvent::GenerationCancelled {}
        | GenerationEvent::GenerationDeleted {} => {
            rows.remove(key);
        }
        GenerationEvent::GenerationRequested { .. }
        | GenerationEvent::GenerationAbandoned {}
        | GenerationEvent::GenerationStarted { .. } => {}
    }
}

/// A published item, open to everybody.
#[derive(Debug, Clone)]
pub struct ExploreView {
    /// The job.
    pub generation: GenerationId,
    /// Who made it.
    pub creator: AccountId,
    /// The model.
    pub model: String,
    /// What it is.
    pub media_type: MediaType,
    /// The prompt (U40); `None` once it is erased.
    pub prompt: Option<String>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The files.
    pub outputs: Vec<Output>,
    /// When it was published.
    pub published_at: DateTime<Utc>,
}

/// What part of the feed is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExploreFilter<'a> {
    /// One creator's published work (A20).
    pub creator: Option<AccountId>,
    /// One kind of media.
    pub media_type: Option<MediaType>,
    /// One model.
    pub model: Option<&'a str>,
}

/// A page of the feed, newest first; without what an account in quarantine made.
///
/// # Errors
/// `BadCursor`; `Quarantined`, where one creator in quarantine is asked for; or when the database failed or a prompt cannot be opened.
pub async fn page(
    snapshot: &mut Snapshot,
    filter: ExploreFilter<'_>,
    first: usize,
    after: Option<&str>,
) -> Result<Page<ExploreView>, ReadError> {
    if let Some(creator) = filter.creator {
        snapshot.whole(NAME, creator).await?;
    }
    let after = snapshot.cursor(after)?;
    // PostgreSQL holds no NUL in a text: no model has such a name.
    if filter.model.is_some_and(|model| model.contains('\0')) {
        return Ok(snapshot.page(Vec::new(), first));
    }
    // Only the conditions that are asked for: each combination is a statement of its own, and has an index that gives its rows in their
    // order. With all of them in one statement, a plan for any values would read the feed from its start until a page is full.
    let (table, whole) = (snapshot.table::<Row>()?, snapshot.only_whole(NAME));
    let start = format!("select row_to_json(t) from {table} t where published_at is not null{whole}");
    let mut query = QueryBuilder::<Postgres>::new(start);
    if let Some(creator) = filter.creator {
        query.push(" and account_id = ").push_bind(creator.0);
    }
    if let Some(media_type) = filter.media_type {
        query.push(" and media_type = ").push_bind(media_type.as_str());
    }
    if let Some(model) = filter.model {
        query.push(" and model = ").push_bind(model);
    }
    if let Some(after) = after {
        query.push(" and (published_at, generation_id) < (").push_bind(after.at);
        query.push(", ").push_bind(after.id).push(")");
    }
    let limit = i64::try_from(first).unwrap_or(i64::MAX - 1) + 1;
    query.push(" order by published_at desc, generation_id desc limit ").push_bind(limit);
    let rows: Vec<sqlx::types::Json<Row>> = query.build_query_scalar().fetch_all(snapshot.connection()).await?;
    let mut items = Vec::with_capacity(rows.len());
    for sqlx::types::Json(row) in rows {
        let Some(published_at) = row.published_at else { continue };
        let creator = AccountId(row.account_id);
        let item = ExploreView {
            generation: GenerationId(row.generation_id),
            creator,
            prompt: snapshot.open(creator, "prompt", &row.prompt).await?,
            model: row.model,
            media_type: row.media_type,
            width: row.width,
            height: row.height,
            outputs: row.outputs,
            published_at,
        };
        items.push((Cursor { at: published_at, id: row.generation_id }, item));
    }
    Ok(snapshot.page(items, first))
}
