//! Is the node alive, is it ready, and what does it count.

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::process::Backlog;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::Edge;

/// The most a node's clock may differ from the database's, milliseconds (DESIGN 8).
const MAX_SKEW_MS: i64 = 1_000;
/// How long a probe waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process answers.
pub async fn live() -> Json<serde_json::Value> {
    Json(json!({ "status": "live" }))
}

/// The node can serve: the database answers, the clocks agree, and its read models have been built. Stopped projections, accounts in
/// quarantine and work that does not end by itself are shown; they do not take the node out, because everything else still works.
pub async fn ready(State(edge): State<Arc<Edge>>) -> Response {
    if edge.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "stopping" }))).into_response();
    }
    let probe = async {
        // The connection first: waiting for one says nothing about clocks.
        let mut connection = edge.write.pool.acquire().await?;
        let before = edge.write.now();
        let theirs: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *connection).await?;
        let ours = before + (edge.write.now() - before) / 2;
        drop(connection);
        let backlog = Backlog::count(&edge.write.pool).await?;
        Ok::<_, sqlx::Error>(((ours - theirs).num_milliseconds(), edge.read.checkpoints().await?, backlog))
    };
    let Ok(Ok((skew, checkpoints, backlog))) = tokio::time::timeout(PATIENCE, probe).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "database unreachable" }))).into_response();
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
    let in_time = skew.abs() <= MAX_SKEW_MS;
    let status = if !in_time {
        "clock skew"
    } else if !building.is_empty() {
        "building read models"
    } else if stopped.is_empty() && quarantined.is_empty() && backlog.stuck == 0 && backlog.dead == 0 {
        "ready"
    } else {
        "degraded"
    };
    let code = if in_time && building.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let work = json!({ "stuck": backlog.stuck, "dead": backlog.dead });
    let body = json!({
        "status": status, "clock_skew_ms": skew, "stopped_projections": stopped, "quarantine": quarantined, "building": building,
        "work": work,
    });
    (code, Json(body)).into_response()
}

/// The counters, as Prometheus reads them.
pub async fn metrics(State(edge): State<Arc<Edge>>) -> Response {
    let pool = &edge.write.pool;
    metrics::gauge!("atelier_pool_connections").set(f64::from(pool.size()));
    metrics::gauge!("atelier_pool_idle").set(f64::from(u32::try_from(pool.num_idle()).unwrap_or(u32::MAX)));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], edge.metrics.render()).into_response()
}
