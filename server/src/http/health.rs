//! Is the node alive, and is it ready.

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::process::Backlog;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Edge;
use crate::clock_watch;
use crate::log_branches::{self, LogBranch};

/// How long a probe waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process answers.
pub fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// The node can serve: the database answers, the clocks agree, its disks have room, and its read models have been built. Stopped projections, accounts in
/// quarantine, losses that nobody has acknowledged and work that does not end by itself are shown; they do not take the node out, because everything else still works.
///
/// What is shown here is the status alone, but for development: the details are for operators.
pub async fn ready(State(edge): State<Arc<Edge>>) -> Response {
    let (code, details) = readiness(&edge).await;
    let shown = if edge.development { details } else { json!({ "status": details["status"] }) };
    (code, Json(shown)).into_response()
}

/// The same with all details.
pub async fn ready_in_detail(State(edge): State<Arc<Edge>>) -> Response {
    let (code, details) = readiness(&edge).await;
    (code, Json(details)).into_response()
}

async fn readiness(edge: &Edge) -> (StatusCode, Value) {
    if edge.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "stopping" }));
    }
    let probe = async {
        let skew = clock_watch::look(&edge.write).await?;
        let backlog = Backlog::count(&edge.write.pool).await?;
        let branches = log_branches::all(&edge.write.pool).await?;
        Ok::<_, sqlx::Error>((skew, edge.read.checkpoints().await?, backlog, branches))
    };
    let Ok(Ok((skew, checkpoints, backlog, branches))) = tokio::time::timeout(PATIENCE, probe).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "database unreachable" }));
    };
    let stopped: Vec<_> = checkpoints.iter().filter(|checkpoint| checkpoint.stopped).collect();
    let stopped: Vec<_> = stopped
        .into_iter()
        .map(|c| json!({ "projection": c.name, "failed_position": c.failed_position, "error": c.error }))
        .collect();
    // How many and what for, without whose: this is open to whoever reaches the node.
    let quarantined: Vec<_> = checkpoints
        .iter()
        .filter(|c| c.quarantined > 0)
        .map(|c| json!({ "projection": c.name, "version": c.version, "accounts": c.quarantined }))
        .collect();
    // A release whose read models were never at the head leaves the answers to the nodes of the older one.
    let building = edge.read.building(&checkpoints);
    let (in_time, skew) = (!skew.is_too_much(), skew.by.num_milliseconds());
    let full = edge.disks.full();
    let compared = edge.admission.is_open();
    // Each until it is acknowledged; one that lost something degrades the node.
    let lost = branches.iter().any(LogBranch::warns);
    let shown = branches.iter().filter(|branch| branch.ordinal > 1 && branch.acknowledged_at.is_none());
    let shown: Vec<_> = shown.map(LogBranch::shown).collect();
    let status = if !in_time {
        "clock skew"
    } else if !full.is_empty() {
        "disk full"
    } else if !building.is_empty() {
        "building read models"
    } else if !compared {
        "comparing erasures"
    } else if stopped.is_empty() && quarantined.is_empty() && backlog.stuck == 0 && backlog.dead == 0 && !lost {
        "ready"
    } else {
        "degraded"
    };
    let serves = in_time && full.is_empty() && building.is_empty() && compared;
    let code = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let work = json!({ "stuck": backlog.stuck, "dead": backlog.dead });
    let body = json!({
        "status": status, "clock_skew_ms": skew, "stopped_projections": stopped, "quarantine": quarantined, "building": building,
        "work": work, "full_disks": full, "log_branches": shown,
    });
    (code, body)
}
