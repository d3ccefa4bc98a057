//! SIGTERM and SIGINT: heard from the first moment on, and the end of the process within a fixed time, whatever it is at.

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// From the signal until the process ends, whatever still runs: what a stop in order needs at most, and what operators count on
/// (25 seconds) less a moment.
pub const LIMIT: Duration = Duration::from_millis(24_000);

/// What is kept of it for the process's own last steps.
const LAST_STEPS: Duration = Duration::from_millis(700);

/// The signal to stop.
#[derive(Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    heard: Arc<OnceLock<Instant>>,
}

impl Stop {
    /// Cancelled by the first signal.
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// How long the stop may still take: [`LIMIT`] before the signal.
    pub fn left(&self) -> Duration {
        let gone = self.heard.get().map_or(Duration::ZERO, Instant::elapsed);
        LIMIT.saturating_sub(gone).saturating_sub(LAST_STEPS)
    }
}

/// Begins to listen. From the first signal on the process has [`LIMIT`] to end by itself. What it was at then goes on at the next start,
/// as after a kill.
///
/// # Errors
/// When the system does not let us listen.
pub fn listen() -> std::io::Result<Stop> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = Stop::default();
    let Stop { token, heard } = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = heard.set(Instant::now());
        token.cancel();
        // A thread of its own: the runtime may be what does not end.
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            let _ =
                writeln!(std::io::stderr(), "atelier: the stop took too long; what was left goes on at the next start");
            std::process::exit(1);
        });
    });
    Ok(stop)
}
