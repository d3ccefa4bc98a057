//! Property 6 with two processes: this test binary runs itself again as a second appender.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use atelier_commands::event_store::{EventStore, PostgresEventStore, WriterOptions};
use atelier_server::database;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::racers::{Acknowledged, assert_streams, race};
use super::test_log::TestLog;

/// The variable that makes this binary an appender: the log's URL.
const URL: &str = "ATELIER_TEST_APPEND_TO";
const TASKS: usize = 6;
const APPENDS: usize = 15;

/// Not a test of its own: without a URL it has nothing to do; with one it races for the streams and prints what was acknowledged.
#[test]
fn appender() {
    let Ok(url) = std::env::var(URL) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    let acknowledged = runtime.block_on(async {
        let pool = database::pool(&url, 4).await.expect("the application connects");
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let node = PostgresEventStore::start(pool, &url, WriterOptions::default(), &tasks, stop).expect("a good URL");
        let node: Arc<dyn EventStore> = Arc::new(node);
        race(&[node], TASKS, APPENDS).await
    });
    let mut output = std::io::stdout().lock();
    for Acknowledged { position, event_id } in acknowledged {
        writeln!(output, "acknowledged {position} {event_id}").expect("the parent reads");
    }
    output.flush().expect("the parent reads");
    // Leaves before the test harness can add to the output.
    std::process::exit(0);
}

fn parsed(output: &[u8]) -> Vec<Acknowledged> {
    let lines = std::str::from_utf8(output).expect("UTF-8").lines();
    let fields = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.split_once(' '));
    let parse = |(position, id): (&str, &str)| Acknowledged {
        position: position.parse().expect("a position"),
        event_id: id.parse().expect("an id"),
    };
    fields.map(parse).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_two_processes_append_at_once_to_the_same_streams() {
    let log = TestLog::fresh().await;
    let held = log.hold().await;
    let child = Command::new(std::env::current_exe().expect("a running test binary has a path"))
        .args(["--exact", "log::processes::appender", "--nocapture", "--quiet"])
        .env(URL, &log.database.url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this binary runs");
    let node: Arc<dyn EventStore> = log.node();
    let racing = tokio::spawn(async move { race(&[node], TASKS, APPENDS).await });
    // Both processes have appends on their way before either may write.
    log.until_blocked(2).await;
    held.release().await;
    let ours = racing.await.expect("all of ours are acknowledged");
    let output =
        tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("joined").expect("waited for");
    assert!(output.status.success());
    let theirs = parsed(&output.stdout);
    assert_eq!((ours.len(), theirs.len()), (TASKS * APPENDS, TASKS * APPENDS));

    let all = log.dense_ids().await;
    for Acknowledged { position, event_id } in ours.iter().chain(&theirs) {
        assert_eq!(all[usize::try_from(*position).expect("a position") - 1], *event_id, "where it was said to be");
        assert_eq!(all.iter().filter(|id| *id == event_id).count(), 1, "exactly once");
    }
    // Of every appender's 15 appends 7 have two events.
    assert_streams(log.node().as_ref(), 2 * TASKS * (APPENDS + APPENDS / 2)).await;
    assert_eq!(all.len(), 2 * TASKS * (APPENDS + APPENDS / 2));
}
