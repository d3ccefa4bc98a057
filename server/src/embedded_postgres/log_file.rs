//! The server's log file, kept under a bound. PostgreSQL's own rotation truncates by time only, never by size.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::EmbeddedError;

/// Above this many bytes the log starts over.
pub(super) const LIMIT: u64 = 10 * 1024 * 1024;
const PERIOD: Duration = Duration::from_secs(60);

/// Looks at the log every minute until dropped. Without an owner nobody talks to the server, so its log does not grow.
#[derive(Debug)]
pub(super) struct LogTrimmer(JoinHandle<()>);

impl LogTrimmer {
    pub(super) fn start(path: PathBuf) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PERIOD);
            loop {
                ticks.tick().await;
                let path = path.clone();
                let done = tokio::task::spawn_blocking(move || trim(&path, LIMIT)).await;
                if let Ok(Err(error)) = done {
                    tracing::warn!(%error, "the database's log could not be shortened");
                }
            }
        }))
    }
}

impl Drop for LogTrimmer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Empties the file when it is longer than the limit, in bytes. The server appends, so it goes on at the new end.
pub(super) fn trim(path: &Path, limit: u64) -> Result<(), EmbeddedError> {
    let file = match OpenOptions::new().append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EmbeddedError::io("open", path)(error)),
    };
    let length = file.metadata().map_err(EmbeddedError::io("examine", path))?.len();
    if length > limit {
        file.set_len(0).map_err(EmbeddedError::io("shorten", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_the_log_starts_over_above_its_bound_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("postgres.log");
        trim(&path, 3).unwrap();
        std::fs::write(&path, "abc").unwrap();
        trim(&path, 3).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        std::fs::write(&path, "abcd").unwrap();
        trim(&path, 3).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
