//! Reading inside resolvers: one snapshot for a root field and everything beneath it, so that one screen is one position (A01).

use std::sync::Arc;

use async_graphql::{Context, Error, Result};
use atelier_projections::{ReadError, ReadModels, Snapshot, models};
use tokio::sync::Mutex;

use crate::Sides;
use crate::error::{bad_input, read_fault, too_long};

/// A snapshot that the fields of one root field share; they read one after the other.
#[derive(Clone)]
pub(crate) struct Reading {
    snapshot: Arc<Mutex<Snapshot>>,
    models: ReadModels,
    position: String,
}

/// The read models behind `me`, and behind everything else: a screen's position is the least of its models'.
pub(crate) const ALL: &[&str] = &[
    models::profile::NAME,
    models::rank::NAME,
    models::credit_balance::NAME,
    models::transaction_history::NAME,
    models::creations::NAME,
    models::explore::NAME,
    models::sessions::NAME,
    models::api_keys::NAME,
    models::notification_preferences::NAME,
    models::account_history::NAME,
    models::data_exports::NAME,
];

/// The read models behind what everybody may see.
pub(crate) const PUBLIC: &[&str] =
    &[models::profile::NAME, models::rank::NAME, models::creations::NAME, models::explore::NAME];

impl Reading {
    /// Takes a snapshot that is not older than the asked position.
    pub(crate) async fn begin(
        context: &Context<'_>,
        names: &[&'static str],
        min_position: Option<&str>,
    ) -> Result<Self> {
        let models = context.data::<Sides>()?.read.clone();
        let snapshot = models.snapshot(names, min_position).await.map_err(|error| read_fault(&models, &error))?;
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

    /// Reads from the snapshot.
    pub(crate) async fn read<T>(&self, read: impl AsyncFnOnce(&mut Snapshot) -> Result<T, ReadError>) -> Result<T> {
        let mut snapshot = self.snapshot.lock().await;
        if snapshot.exhausted() {
            return Err(too_long());
        }
        read(&mut snapshot).await.map_err(|error| self.fault(&error))
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
