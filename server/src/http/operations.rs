//! What operators alone read: counters, and the details of readiness. In production on a listener of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Edge, health};
use crate::connections::descriptor_limit;
use crate::disk::Room;

/// The routes of the operators' listener.
pub fn operations(edge: Arc<Edge>) -> Router {
    Router::new()
        .route("/health/live", get(async || health::live()))
        .route("/health/ready", get(health::ready_in_detail))
        .route("/metrics", get(metrics))
        .with_state(edge)
}

/// The counters, as Prometheus reads them.
pub async fn metrics(State(edge): State<Arc<Edge>>) -> Response {
    let pool = &edge.write.pool;
    metrics::gauge!("atelier_pool_connections").set(f64::from(pool.size()));
    metrics::gauge!("atelier_pool_idle").set(f64::from(u32::try_from(pool.num_idle()).unwrap_or(u32::MAX)));
    process();
    for (name, room) in edge.disks.rooms() {
        metrics::gauge!("atelier_disk_free_bytes", "folder" => name).set(as_f64(room.free));
        metrics::gauge!("atelier_disk_size_bytes", "folder" => name).set(as_f64(room.total));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], edge.metrics.render()).into_response()
}

/// Memory and descriptors of this process, where the system shows them under /proc.
fn process() {
    if let Some(limit) = descriptor_limit() {
        metrics::gauge!("process_max_fds").set(as_f64(limit));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // The one that counts is open as well.
        metrics::gauge!("process_open_fds").set(as_f64(open.count().saturating_sub(1) as u64));
    }
    let pages = std::fs::read_to_string("/proc/self/statm");
    let resident = pages.ok().and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    if let Some(resident) = resident {
        metrics::gauge!("process_resident_memory_bytes").set(as_f64(resident * rustix::param::page_size() as u64));
    }
}

/// As a gauge's value; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "bytes and descriptors are below 2^53")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}

/// The folders of a node, whose disks are looked at.
pub struct Disks {
    folders: Vec<(&'static str, std::path::PathBuf)>,
    /// Bytes below which a disk counts as full.
    reserve: u64,
}

impl Disks {
    /// The folders with their names, and the bytes that must be left.
    pub const fn new(folders: Vec<(&'static str, std::path::PathBuf)>, reserve: u64) -> Self {
        Self { folders, reserve }
    }

    /// The room of each that the system tells.
    fn rooms(&self) -> impl Iterator<Item = (&'static str, Room)> + '_ {
        self.folders.iter().filter_map(|(name, folder)| Some((*name, Room::at(folder).ok()?)))
    }

    /// The names of the folders whose disk is full.
    pub fn full(&self) -> Vec<&'static str> {
        self.rooms().filter(|(_, room)| room.is_full(self.reserve)).map(|(name, _)| name).collect()
    }
}
