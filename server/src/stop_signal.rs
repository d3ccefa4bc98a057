//! SIGTERM and SIGINT: heard from the first moment on, and the end of the process within a fixed time, whatever it is at.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// From the signal until the process ends, whatever still runs: what a stop in order needs at most, and what operators count on
/// (25 seconds) less a moment.
pub const LIMIT: Duration = Duration::from_millis(24_000);

/// Begins to listen; the token is cancelled by the first signal. From then on the process has [`LIMIT`] to end by itself. What it was at
/// then goes on at the next start, as after a kill.
///
/// # Errors
/// When the system does not let us listen.
pub fn listen() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let heard = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        heard.cancel();
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
