//! Whether a node serves the log that it is on: not before what lies outside PostgreSQL, and did not fall back with it, was compared.
//! The erasure journal is compared at the start, and again whenever the log is on another branch.

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::WriteSide;
use atelier_commands::erasure::erase_what_came_back;
use atelier_domain::Actor;
use atelier_log::{Branch, KnownLog};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::log_branches;

/// How long a request waits for a comparison that is under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to compare.
const REST: Duration = Duration::from_secs(1);

/// Whether requests are let in.
#[derive(Debug)]
pub struct Admission {
    log: Arc<KnownLog>,
    compared: watch::Sender<Option<Branch>>,
}

impl Admission {
    /// Of a node that has compared the branch that it is on.
    #[must_use]
    pub fn of(log: Arc<KnownLog>, compared: Option<Branch>) -> Self {
        Self { log, compared: watch::Sender::new(compared) }
    }

    /// Whether the branch that the node is on has been compared.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.compared.borrow() == self.log.branch()
    }

    /// Waits until requests are let in; says whether they are.
    pub async fn waits(&self) -> bool {
        if self.is_open() {
            return true;
        }
        let mut compared = self.compared.subscribe();
        timeout(PATIENCE, compared.wait_for(|compared| *compared == self.log.branch()))
            .await
            .is_ok_and(|open| open.is_ok())
    }

    /// Compares each branch that the log comes to be on, until stopped.
    pub async fn watch(&self, write: &WriteSide, stop: &CancellationToken) {
        let mut eras = self.log.eras();
        while !stop.is_cancelled() {
            eras.mark_unchanged();
            if !self.is_open() {
                let branch = self.log.branch();
                let context = write.request_context(Actor::Process("Restored".into()));
                match erase_what_came_back(write, &context).await {
                    Ok(_) => drop(self.compared.send_replace(branch)),
                    Err(error) => {
                        tracing::error!(%error, "the erasure journal cannot be compared; nobody is served");
                        tokio::select! {
                            () = tokio::time::sleep(REST) => {}
                            () = stop.cancelled() => {}
                        }
                    }
                }
                // It may be on yet another one by now.
                continue;
            }
            if let Err(error) = log_branches::all(&write.pool).await {
                tracing::warn!(%error, "the branches of the log cannot be read");
            }
            tokio::select! {
                _ = eras.changed() => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
