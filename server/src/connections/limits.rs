//! How many connections there may be, and how long a client may let us wait.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::write_timeout::WRITE_TIMEOUT;

/// Descriptors that are not for clients: files of media and keys, mails, PostgreSQL's programs, listeners, what the runtime needs.
const OTHER_DESCRIPTORS: u64 = 128;
/// Connections beyond the bound that are told so.
const OVERFLOW: usize = 32;
/// No more than this by default, however many descriptors there are: each takes some memory.
const MOST: usize = 16_384;
/// No fewer, however few descriptors there are: then accepting fails instead, and `doctor` says why.
const FEWEST: usize = 16;

/// The bounds of a node's connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections that are open at once, sockets among them.
    pub most: usize,
    /// Connections beyond those, which are turned away with an answer.
    pub overflow: usize,
    /// From a connection's start, or the end of its last answer, until the head of a request is there.
    pub head: Duration,
    /// The same of a connection that will be turned away.
    pub head_beyond: Duration,
    /// From the head of a request until its body is there. REST and GraphQL wait less for their small ones.
    pub body: Duration,
    /// How long a client may take nothing of what we send.
    pub write: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most: MOST,
            overflow: OVERFLOW,
            head: Duration::from_secs(30),
            head_beyond: Duration::from_secs(2),
            body: Duration::from_secs(60),
            write: WRITE_TIMEOUT,
        }
    }
}

impl ConnectionLimits {
    /// What the machine's descriptors allow beside the database's connections and files: `asked` when that is less.
    #[must_use]
    pub fn of_machine(pool: u32, asked: Option<usize>) -> Self {
        let limits = Self::default();
        let most = fitting(descriptor_limit(), pool);
        Self { most: asked.map_or(most, |asked| asked.min(most)).max(1), ..limits }
    }
}

/// The connections that a number of descriptors has room for; none is no limit.
fn fitting(descriptors: Option<u64>, pool: u32) -> usize {
    let kept = OTHER_DESCRIPTORS + u64::from(pool) + OVERFLOW as u64;
    let room = descriptors.map_or(MOST, |most| usize::try_from(most.saturating_sub(kept)).unwrap_or(MOST));
    room.clamp(FEWEST, MOST)
}

/// The most descriptors that this process may have; none when that is not limited.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limit as far as the system lets an ordinary process do.
pub fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    // Where the system refuses, macOS does for one, the limit stays what it was.
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the descriptor limit stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_leaves_descriptors_for_everything_else() {
        assert_eq!(fitting(Some(1_024), 24), 1_024 - 128 - 24 - 32);
        assert_eq!(fitting(Some(100), 24), FEWEST);
        assert_eq!(fitting(Some(1_000_000), 24), MOST);
        assert_eq!(fitting(None, 24), MOST);
        assert_eq!(ConnectionLimits::of_machine(24, Some(5)).most, 5);
    }
}
