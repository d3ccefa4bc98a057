//! Reading inside resolvers: one snapshot for a root field and everything beneath it, so that one screen is one position (A01).

use std::sync::Arc;

use async_graphql::{Context, Error, Result};
use atelier_projections::{ReadError, ReadModels, Snapshot};
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Sides;
use crate::error::{bad_input, read_fault, too_long};
use crate::reads;

/// A snapshot that the fields of one root field share; they read one after the other, and each fails alone.
#[derive(Clone)]
pub(crate) struct Reading {
    snapshot: Arc<Mutex<Snapshot>>,
    models: ReadModels,
    position: String,
}

/// The roots of the schema.
pub(crate) const QUERY: &str = "Query";
/// The root of mutations.
pub(crate) const MUTATION: &str = "Mutation";
/// The root of subscriptions.
pub(crate) const SUBSCRIPTION: &str = "Subscription";

impl Reading {
    /// Takes the snapshot of the root field that is being resolved: of the read models behind its selection, not older than the asked
    /// position. A read model that does not get there in time costs the fields that read it; when none does, the root field.
    pub(crate) async fn begin(context: &Context<'_>, root: &str, min_position: Option<&str>) -> Result<Self> {
        Self::begin_as(context, root, context.field().name(), min_position).await
    }

    /// The same, as if the root field were another one.
    pub(crate) async fn begin_as(
        context: &Context<'_>,
        root: &str,
        field: &str,
        min_position: Option<&str>,
    ) -> Result<Self> {
        let models = context.data::<Sides>()?.read.clone();
        let behind = reads::behind(context, root, field);
        let snapshot = models.snapshot_of_those_there(&behind, min_position).await;
        let snapshot = snapshot.map_err(|error| read_fault(&models, &error))?;
        let position = snapshot.position();
        Ok(Self { snapshot: Arc::new(Mutex::new(snapshot)), models, position })
    }

    /// Where whoever goes on after a position begins: there, or at this snapshot when none is given.
    pub(crate) async fn begins(&self, after: Option<&str>) -> i64 {
        self.snapshot.lock().await.begins(after)
    }

    /// The snapshot's position, in its opaque form.
    pub(crate) fn position(&self) -> &str {
        &self.position
    }

    /// The cursor of an item in a list that is ordered by this time, then this id.
    pub(crate) fn cursor(&self, at: DateTime<Utc>, id: Uuid) -> String {
        self.models.cursor(at, id)
    }

    /// Reads from the snapshot.
    pub(crate) async fn read<T>(&self, read: impl AsyncFnOnce(&mut Snapshot) -> Result<T, ReadError>) -> Result<T> {
        let mut snapshot = self.snapshot.lock().await;
        if snapshot.exhausted() {
            return Err(too_long());
        }
        snapshot.mark().await.map_err(|error| self.fault(&error))?;
        let answer = read(&mut snapshot).await;
        if let Err(ReadError::Database(_) | ReadError::Rows(_)) = &answer
            && let Err(error) = snapshot.back_to_mark().await
        {
            tracing::warn!(%error, "a snapshot cannot be read from any more");
        }
        answer.map_err(|error| self.fault(&error))
    }

    /// A failed read, as the client sees it.
    pub(crate) fn fault(&self, error: &ReadError) -> Error {
        read_fault(&self.models, error)
    }
}

/// The size of a page: the default, or what was asked for within 1 to 100 (U04).
pub(crate) fn page_size(first: Option<i32>, default: usize) -> Result<usize> {
    match first {
        None => Ok(default),
        Some(first @ 1..=100) => Ok(usize::try_from(first).unwrap_or(default)),
        Some(_) => Err(bad_input("first must be 1 to 100")),
    }
}
