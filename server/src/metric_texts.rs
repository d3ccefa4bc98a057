//! What each metric says, for `/metrics` (HELP), and what histograms are cut into.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Counters, with what they count.
const COUNTERS: &[(&str, &str)] = &[
    ("atelier_append_outcome_unknown_total", "Appends of which nobody knows whether they were written."),
    ("atelier_command_conflicts_total", "Commands that were decided again after another append to their stream."),
    ("atelier_command_decided_on_pending_total", "Commands decided on an append that was still on its way."),
    ("atelier_command_loads_total", "Aggregates that commands needed, by where they came from."),
    ("atelier_command_refusals_total", "Commands that a rule refused."),
    ("atelier_http_body_timeouts_total", "Requests whose body did not arrive in time."),
    (
        "atelier_http_connections_evicted_total",
        "Connections that gave way to another one because they waited longest for their client.",
    ),
    ("atelier_http_connections_turned_away_total", "Requests that were answered 503 for want of a place."),
    ("atelier_http_requests_total", "Requests that were answered."),
    ("atelier_http_write_timeouts_total", "Connections that were closed because their client took nothing."),
    ("atelier_key_usage_dropped_total", "Uses of API keys that were not noted for want of room."),
    ("atelier_mail_recipients_refused_total", "Mails whose recipient a mail server refused for good."),
    ("atelier_mails_not_sent_total", "Mails that anybody can ask for and that did not go, by the reason."),
    ("atelier_media_lost_total", "Files that the log knows and the store does not have."),
    ("atelier_outputs_refused_total", "Jobs that a model refused, by its reason."),
    ("atelier_postgres_restarts_total", "How often the private PostgreSQL was started again after it had died."),
    ("atelier_process_lease_takeovers_total", "Pieces of work whose lease ran out and which another worker took over."),
    ("atelier_process_work_dead_total", "Pieces of work that can never be done."),
    ("atelier_process_work_done_total", "Pieces of work that were done."),
    ("atelier_process_work_retries_total", "Attempts at work that failed and will be made again."),
    ("atelier_projection_events_total", "Events that were folded."),
    ("atelier_projection_stops_total", "How often a follower of the log has stopped."),
    ("atelier_projection_takeovers_total", "How often a follower was taken over from a node that stood still."),
    (
        "atelier_quarantine_alarms_total",
        "How often a follower stopped because too many accounts were left out at once.",
    ),
    ("atelier_quarantine_parked_total", "Accounts that a follower left out because of an event it cannot fold."),
    ("atelier_sealed_values_unreadable_total", "Sealed values that could not be opened."),
    ("atelier_snapshots_total", "Snapshots of aggregates, by what became of them."),
    ("atelier_socket_messages_total", "Messages over sockets."),
    ("atelier_sockets_closed_total", "Sockets that were closed, by the code."),
    ("atelier_tries_refused_total", "Tries, at signing in for one, that were refused as too many."),
];

/// Gauges, with what they show.
const GAUGES: &[(&str, &str)] = &[
    ("atelier_append_queue_depth", "Appends that wait for the next commit."),
    ("atelier_build_info", "The release that runs, as a label; always 1."),
    ("atelier_clock_skew_seconds", "This machine's clock less the database's, in seconds."),
    ("atelier_command_cache_bytes", "Bytes of aggregates that are kept in memory."),
    ("atelier_database_up", "Whether the database answered at the last look: 1 or 0."),
    ("atelier_disk_free_bytes", "Bytes that may still be written to the disk of a folder."),
    ("atelier_disk_size_bytes", "Bytes of the disk of a folder."),
    ("atelier_http_connections_open", "Connections of clients."),
    ("atelier_log_branches", "Branches of the log: failovers, restores and older volumes open one."),
    ("atelier_log_lost_positions", "Positions that were lost, by branches that no operator has acknowledged."),
    ("atelier_log_position", "The last position of the log that this node knows."),
    ("atelier_pool_connections", "Connections to the database."),
    ("atelier_pool_idle", "Connections to the database that are not in use."),
    ("atelier_process_work_attempts_max", "The most attempts that any piece of due work has taken."),
    ("atelier_process_work_dead", "Pieces of work that can never be done and are kept."),
    ("atelier_process_work_due", "Pieces of work that are due or at work; at most 10,000 are counted."),
    ("atelier_process_work_oldest_due_seconds", "Seconds since the oldest piece of due work was due."),
    ("atelier_process_work_stuck", "Pieces of work that failed so often that somebody should look."),
    ("atelier_projection_lag_events", "Events that a follower has not folded yet."),
    (
        "atelier_projection_lag_seconds",
        "Seconds since the oldest event was recorded that a follower has not folded yet.",
    ),
    ("atelier_projection_rebuild_left", "Events that a rebuild beside has still to fold."),
    ("atelier_projection_stopped", "Whether a follower has stopped: 1 or 0."),
    ("atelier_quarantined_accounts", "Accounts that a follower leaves out."),
    ("atelier_sockets_open", "Sockets that are open."),
    ("process_max_fds", "The most file descriptors that this process may have open."),
    ("process_open_fds", "File descriptors that this process has open."),
    ("process_resident_memory_bytes", "Bytes of memory that this process has in use."),
];

/// Histograms, with what they measure.
const HISTOGRAMS: &[(&str, &str)] = &[
    ("atelier_append_batch_size", "Appends that were written by one commit."),
    ("atelier_append_seconds", "How long a commit to the log took, in seconds."),
    ("atelier_http_request_seconds", "From the head of a request to the head of its answer, in seconds."),
    ("atelier_projection_apply_seconds", "How long a batch of events took to fold, in seconds."),
    ("atelier_projection_batch_events", "Events that were folded in one transaction."),
];

/// Where histograms of time are cut, in seconds.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Where histograms of numbers are cut.
const NUMBERS: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0];

/// Makes this process's recorder, with what each metric says; one that is there already is left, and then ours shows nothing.
pub fn install() -> PrometheusHandle {
    let cut = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &NUMBERS))
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &NUMBERS));
    let recorder = cut.expect("there are buckets").build_recorder();
    let handle = recorder.handle();
    // Somebody else's recorder in the same process would keep its counters.
    let _ = metrics::set_global_recorder(recorder);
    for (name, says) in COUNTERS {
        metrics::describe_counter!(*name, *says);
    }
    for (name, says) in GAUGES {
        metrics::describe_gauge!(*name, *says);
    }
    for (name, says) in HISTOGRAMS {
        metrics::describe_histogram!(*name, *says);
    }
    metrics::gauge!("atelier_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle
}
