//! A private PostgreSQL that dies is started again where it was.
//!
//! Its death is noticed by a connection that is open for this alone: a backend ends with its postmaster, whatever ended that. A
//! postmaster that lives on and has ended its backends, because one of them crashed, is waited for.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{EmbeddedError, EmbeddedPostgres, adopt, databases, start_anew};

/// How often a start is tried before the node gives up.
const TRIES: u32 = 3;
/// Between two tries, and after a success: a server that lets nobody in is not asked without a pause.
const REST: Duration = Duration::from_secs(1);

impl EmbeddedPostgres {
    /// Waits until the server has died, starts it again, says so by `restarted`, and waits again. Returns when told to stop.
    ///
    /// # Errors
    /// When it cannot be started, or not where its clients look for it.
    pub async fn keep_running(&self, restarted: impl Fn(), stop: &CancellationToken) -> Result<(), EmbeddedError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = databases::closed(&self.postmaster) => {}
            }
            tracing::warn!("the private PostgreSQL has ended; it is started again");
            self.start_again(stop).await?;
            if !stop.is_cancelled() {
                restarted();
                metrics::counter!("atelier_postgres_restarts_total").increment(1);
                tracing::warn!("the private PostgreSQL runs again");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    async fn start_again(&self, stop: &CancellationToken) -> Result<(), EmbeddedError> {
        let mut tried = 1;
        loop {
            let started = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                started = self.find_or_start() => started,
            };
            match started {
                Err(error) if tried < TRIES => tracing::error!(%error, "the private PostgreSQL does not start"),
                ended => return ended,
            }
            tried += 1;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    async fn find_or_start(&self) -> Result<(), EmbeddedError> {
        let postmaster = match adopt(&self.cluster).await? {
            Some(postmaster) => postmaster,
            None => start_anew(&self.cluster, &self.place.base).await?,
        };
        if postmaster.socket == self.postmaster.socket {
            Ok(())
        } else {
            Err(EmbeddedError::Moved { socket: self.postmaster.socket.clone() })
        }
    }
}
