//! A follower in a process of its own, which can be stopped, killed and woken in the middle of a batch.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use atelier_server::database;
use futures::TryStreamExt;
use sqlx::PgConnection;

use super::Following;
use super::counted::{self, Counted, NAME};

/// The variables that make this binary a follower: the database, and what it does.
const URL: &str = "ATELIER_TEST_FOLLOW";
const WHAT: &str = "ATELIER_TEST_FOLLOW_WHAT";

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent reads");
}

/// In the middle of a batch: `idle` waits for the parent, `sent` is being sent more than anybody can take.
pub async fn pause(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    say("in the middle");
    let went_on = if std::env::var(WHAT).is_ok_and(|what| what.contains("sent")) {
        let endless = sqlx::query_scalar::<_, String>("select repeat('x', 8000) from generate_series(1, 100000000)");
        endless.fetch(&mut *connection).try_for_each(async |_| Ok(())).await
    } else {
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()))
            .await
            .expect("joined")
            .expect("the parent speaks");
        sqlx::query("select 1").execute(connection).await.map(|_| ())
    };
    say(if went_on.is_ok() { "went on" } else { "ended" });
    went_on
}

/// Not a test of its own: without a URL it has nothing to do; with one it follows or rebuilds.
#[test]
fn follower() {
    let Ok(url) = std::env::var(URL) else { return };
    let what = std::env::var(WHAT).expect("the parent says what");
    let bound = Duration::from_millis(if what.contains("sent") { 60_000 } else { 1_000 });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    runtime.block_on(async {
        let pool = database::pool(&url, 4).await.expect("the application connects");
        let projection = Arc::new(Counted { version: 1, pause: AtomicI64::new(100), skip: i64::MAX });
        let runner = counted::runner(&pool, projection, 7, bound);
        if what.contains("rebuild") {
            let rebuilt = runner.rebuild(NAME, |_, _| {}).await;
            say(&rebuilt.map_or_else(|error| format!("failed: {error}"), |_| "rebuilt".to_owned()));
        } else {
            let following = Following::start(&runner);
            // Until the parent has seen enough.
            std::future::pending::<()>().await;
            following.stop().await;
        }
    });
    std::process::exit(0);
}

/// The process.
pub struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    /// Starts one; it is in the middle of a batch when this returns.
    pub async fn in_the_middle(url: &str, what: &str) -> Self {
        let child = Command::new(std::env::current_exe().expect("a running test binary has a path"))
            .args(["--exact", "projections::child::follower", "--nocapture", "--quiet"])
            .env(URL, url)
            .env(WHAT, what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("this binary runs");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let follower = Self { child, lines };
        follower.says("in the middle").await
    }

    /// Waits until it says so.
    pub async fn says(self, what: &'static str) -> Self {
        tokio::task::spawn_blocking(move || {
            let mut follower = self;
            loop {
                let mut line = String::new();
                assert!(follower.lines.read_line(&mut line).expect("its output") > 0, "it ended before it said {what}");
                if line.contains(what) {
                    return follower;
                }
            }
        })
        .await
        .expect("joined")
    }

    /// Sends it a signal, by its name.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill is on every machine").success(), "it is there");
    }

    /// Lets it go on after its pause.
    pub fn go_on(&mut self) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "go on").expect("it listens");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
