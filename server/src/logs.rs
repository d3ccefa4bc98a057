//! Structured logs: JSON where a machine reads them, plain where a person does. Never values of requests (DESIGN 8).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging to standard error. `ATELIER_LOG` takes a filter such as `info,atelier_commands=debug`; a second call does nothing.
pub fn start(json: bool) {
    let asked = std::env::var("ATELIER_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = asked.and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("info,sqlx=warn,hyper=warn"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    // A second start in one process finds a logger already there, which is as good.
    let _ =
        if json { builder.json().try_init() } else { builder.with_ansi(std::io::stderr().is_terminal()).try_init() };
}
