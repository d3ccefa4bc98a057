//! What the command path counts; looked up once, because a look-up for each command would be felt.

use metrics::{Counter, Gauge, counter, gauge};

/// The command path's counters.
pub(super) struct PathMetrics {
    pub warm: Counter,
    pub cold: Counter,
    pub conflicts: Counter,
    pub refusals: Counter,
    pub pending: Counter,
    pub cache_bytes: Gauge,
    pub snapshots_written: Counter,
    pub snapshots_used: Counter,
    pub snapshots_dropped: Counter,
}

impl PathMetrics {
    /// Counters of the recorder that is installed now.
    pub(super) fn new() -> Self {
        Self {
            warm: counter!("atelier_command_loads_total", "from" => "cache"),
            cold: counter!("atelier_command_loads_total", "from" => "log"),
            conflicts: counter!("atelier_command_conflicts_total"),
            refusals: counter!("atelier_command_refusals_total"),
            pending: counter!("atelier_command_decided_on_pending_total"),
            cache_bytes: gauge!("atelier_command_cache_bytes"),
            snapshots_written: counter!("atelier_snapshots_total", "what" => "written"),
            snapshots_used: counter!("atelier_snapshots_total", "what" => "used"),
            snapshots_dropped: counter!("atelier_snapshots_total", "what" => "dropped"),
        }
    }
}
