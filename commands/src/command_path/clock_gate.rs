//! Whether this node's clock may decide anything: every instant in the log comes from one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Open unless whoever compares the clocks closes it. Cheap to clone; clones are one gate.
#[derive(Debug, Clone, Default)]
pub struct ClockGate(Arc<AtomicBool>);

impl ClockGate {
    /// Closes or opens it: commands that come while it is closed are refused as unavailable, before anything is decided.
    pub fn close(&self, closed: bool) {
        self.0.store(closed, Ordering::Release);
    }

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
