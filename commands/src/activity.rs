//! When sessions were last used (V09): noted in memory, written in batches. A node that dies loses at most the last 45 seconds of it,
//! and a minute is what is promised; nothing else depends on it but the idle limits, which are hours and days.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::SessionId;
use atelier_vault::credential_rows::RowError;
use atelier_vault::credential_rows::sessions::{self, AuthenticatedSession};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often the notes are written.
const EVERY: Duration = Duration::from_secs(10);
/// A row that is younger than this is young enough.
const YOUNG: TimeDelta = TimeDelta::seconds(30);
/// The most notes kept; one more session is noted after the next batch.
const MOST: usize = 20_000;
/// The most rows of one statement.
const BATCH: usize = 2_000;

/// Notes of when sessions were used.
#[derive(Debug, Default)]
pub struct SessionActivity(Mutex<HashMap<SessionId, DateTime<Utc>>>);

impl SessionActivity {
    /// Notes that a session was used; no statement, and nothing at all when its row is young enough.
    pub fn note(&self, session: &AuthenticatedSession, now: DateTime<Utc>) {
        if now - session.last_active_at < YOUNG {
            return;
        }
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST || notes.contains_key(&session.session) {
            notes.insert(session.session, now);
        }
    }

    /// Writes the notes.
    ///
    /// # Errors
    /// When the database failed; what was not written is kept for the next time.
    pub async fn flush(&self, pool: &PgPool) -> Result<(), RowError> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let notes: Vec<_> = taken.into_iter().collect();
        for (number, batch) in notes.chunks(BATCH).enumerate() {
            if let Err(error) = sessions::touch(pool, batch).await {
                let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                for (session, at) in &notes[number * BATCH..] {
                    let newest = kept.entry(*session).or_insert(*at);
                    *newest = (*newest).max(*at);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes the notes now and then, and once more when stopped.
    pub async fn run(&self, pool: &PgPool, stop: &CancellationToken) {
        loop {
            let stopped = tokio::time::timeout(EVERY, stop.cancelled()).await.is_ok();
            if let Err(error) = self.flush(pool).await {
                tracing::warn!(%error, "the last use of sessions could not be written");
            }
            if stopped {
                break;
            }
        }
    }
}
