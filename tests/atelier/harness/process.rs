//! `atelier` in processes of its own, over a data folder of its own: started, watched, killed; whatever still runs when a
//! test ends, in whatever way, is stopped.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atelier_server::embedded_postgres::{EmbeddedOptions, EmbeddedPostgres};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use super::visitor::Visitor;
use crate::as_atelier;

/// How many tests have processes at once.
const AT_ONCE: usize = 2;
/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The limits of API keys, all of which 0 takes away.
const NO_LIMITS: [&str; 7] = [
    "ATELIER_RATE_DAY_FREE",
    "ATELIER_RATE_DAY_PRO",
    "ATELIER_RATE_BURST_FREE",
    "ATELIER_RATE_BURST_PRO",
    "ATELIER_RATE_AT_ONCE_FREE",
    "ATELIER_RATE_AT_ONCE_PRO",
    "ATELIER_RATE_WRONG_KEYS",
];

/// Looks until there is something to see.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(PAUSE).await;
    }
}

/// A folder for processes: the data, and what they said.
pub struct Home {
    pub(super) folder: TempDir,
    program: PathBuf,
    /// Who runs the processes, when it is not who runs the tests.
    user: Option<(u32, u32)>,
    runs: AtomicU32,
    _place: SemaphorePermit<'static>,
}

impl Home {
    /// A fresh one.
    pub async fn open() -> Self {
        static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
        let place = PLACES.acquire().await.expect("the semaphore is never closed");
        let folder = tempfile::Builder::new().prefix("atelier-home-").tempdir().expect("a temporary folder");
        // PostgreSQL's user passes through it when the tests run as root.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our own folder");
        let program = std::env::current_exe().expect("a running test binary has a path");
        Self { folder, program, user: None, runs: AtomicU32::new(1), _place: place }
    }

    /// A fresh one whose processes run as another user; only root can do this.
    pub async fn open_for(user: u32, group: u32) -> Self {
        let mut home = Self::open().await;
        // The build's folder may be closed to others.
        let program = home.folder.path().join("atelier-tests");
        if fs::hard_link(&home.program, &program).is_err() {
            fs::copy(&home.program, &program).expect("the test binary can be copied");
        }
        chown(home.folder.path(), Some(user), Some(group)).expect("root may give folders away");
        home.program = program;
        home.user = Some((user, group));
        home
    }

    /// The data folder; the first process makes it.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `atelier` with these arguments on this data, in an environment without settings of the machine's own.
    fn command(&self, arguments: &[&str]) -> Command {
        let data = self.data();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--data", data.to_str().expect("temporary folders have plain names")]);
        let mut command = as_atelier::command_by(&self.program, &arguments);
        let kept: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        for (name, _) in std::env::vars_os().filter(|(name, _)| !kept.contains(name)) {
            if name.to_string_lossy().starts_with("ATELIER_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let running = tokio::process::Command::from(self.command(arguments)).kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, running).await.expect("a command ends");
        Ended::of(&output.expect("this binary starts"))
    }

    /// Starts `atelier serve` on a free port.
    pub fn serve(&self, more: &[&str]) -> Served {
        self.serve_with(more, &[])
    }

    /// The same with more variables in its environment.
    pub fn serve_with(&self, more: &[&str], environment: &[(&str, &str)]) -> Served {
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
        // Its clients ask as often as they like; a test of the limits says so.
        command.envs(NO_LIMITS.map(|name| (name, "0"))).envs(environment.iter().copied());
        self.spawn(command)
    }

    /// The same as a process that may have so many descriptors and no more.
    pub fn serve_limited(&self, descriptors: u32) -> Served {
        let mut limited = self.limited(descriptors, &["serve", "--listen", "127.0.0.1:0"]);
        limited.envs(NO_LIMITS.map(|name| (name, "0")));
        self.spawn(limited)
    }

    /// Runs a command to its end as a process that may have so many descriptors and no more.
    pub async fn run_limited(&self, descriptors: u32, arguments: &[&str]) -> Ended {
        self.spawn(self.limited(descriptors, arguments)).ended().await
    }

    fn limited(&self, descriptors: u32, arguments: &[&str]) -> Command {
        let command = self.command(arguments);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited.current_dir(self.folder.path()).stdin(Stdio::null());
        limited
    }

    /// Starts `atelier` with exactly these arguments and variables.
    pub fn start(&self, arguments: &[&str], environment: &[(String, String)]) -> Served {
        let mut command = self.command(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Served {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| self.folder.path().join(format!("{run}.{what}"));
        let (said, logged) = (file("out"), file("err"));
        let into = |path: &Path| File::create(path).expect("our own folder");
        command.stdout(into(&said)).stderr(into(&logged));
        Served { child: command.spawn().expect("this binary starts"), said, logged }
    }

    /// The variables of `demo.env`, in order.
    pub fn demo_env(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.data().join("demo.env")).expect("the demo writes it");
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let (asked, kept) = (self.data().join("postgres"), self.postgres());
        if self.postmaster().is_some() {
            // Adopted first, so that nothing is stopped but the server of exactly this data.
            let folder = asked.clone();
            let stopping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let options = EmbeddedOptions { folder, durable: true, extra_settings: Vec::new() };
                    let adopted = EmbeddedPostgres::start(options).await.map_err(std::io::Error::other)?;
                    adopted.stop().await.map_err(std::io::Error::other)
                })
            });
            if !matches!(stopping.join(), Ok(Ok(()))) && !std::thread::panicking() {
                panic!("the PostgreSQL of {} was not stopped", asked.display());
            }
        }
        if kept != asked {
            // A substitute: its parent goes with the last one.
            fs::remove_dir_all(&kept).ok();
            kept.parent().map(fs::remove_dir);
        }
    }
}

/// A running `atelier serve`; killed when it is let go.
pub struct Served {
    child: Child,
    said: PathBuf,
    logged: PathBuf,
}

/// How a process ended, and what it said until then.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub said: String,
    /// Standard error.
    pub logged: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), said: text(&output.stdout), logged: text(&output.stderr) }
    }
}

impl Served {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output until now.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("the process's output")
    }

    /// Standard error until now: the log.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.logged).expect("the process's log")
    }

    /// Fails when it has ended, with what it logged.
    #[track_caller]
    pub fn still_runs(&mut self) {
        assert!(self.end().is_none(), "it ended: {}", self.logged());
    }

    /// Its end, if it came.
    fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Waits until it listens.
    pub async fn listening(&mut self) -> Visitor {
        let address = until("the address", async || {
            let logged = self.logged();
            let address =
                logged.lines().find_map(|line| line.split_once(" listening address=")).map(|(_, it)| it.to_owned());
            if address.is_none() {
                self.still_runs();
            }
            // A line that is still being written is not taken.
            address.filter(|_| logged.ends_with('\n'))
        });
        Visitor::of(format!("http://{}", address.await))
    }

    /// Waits until the demo studio is filled in.
    pub async fn ready(&mut self) -> Visitor {
        let visitor = self.listening().await;
        until("the demo studio", async || {
            self.still_runs();
            self.said().contains("atelier is ready").then_some(())
        })
        .await;
        visitor
    }

    /// Asks it to stop, by a signal's name, and says how it ended and after how long.
    pub async fn stop_timed(self, signal: &str) -> (Ended, Duration) {
        let asked = Instant::now();
        let ended = self.stop(signal).await;
        (ended, asked.elapsed())
    }

    /// Asks it to stop, by a signal's name, and waits until it has.
    pub async fn stop(mut self, signal: &str) -> Ended {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill is on every machine").success(), "it is there to be stopped");
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Ended {
        let status = until("the end", async || self.end()).await;
        Ended { code: status.code(), said: self.said(), logged: self.logged() }
    }

    /// Kills it, as a power cut would: nothing is told, nothing is finished.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Kills a process by its id.
pub fn kill(pid: u32) {
    signal("KILL", &[pid.to_string()]);
}

/// Sends a signal to processes by their ids.
pub fn signal(name: &str, pids: &[String]) {
    let sent = Command::new("kill").arg(format!("-{name}")).args(pids).status();
    assert!(sent.expect("kill is on every machine").success(), "they are there to be signalled");
}
