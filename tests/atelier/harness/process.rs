//! `atelier` in processes of its own, over a data folder of its own: started, watched, killed; whatever still runs when a
//! test ends, in whatever way, is stopped.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE, EmbeddedOptions, EmbeddedPostgres};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
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
    folder: TempDir,
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
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| self.folder.path().join(format!("{run}.{what}"));
        let (said, logged) = (file("out"), file("err"));
        let into = |path: &Path| File::create(path).expect("our own folder");
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
        // Its clients ask as often as they like; a test of the limits says so.
        command
            .envs(NO_LIMITS.map(|name| (name, "0")))
            .envs(environment.iter().copied())
            .stdout(into(&said))
            .stderr(into(&logged));
        Served { child: command.spawn().expect("this binary starts"), said, logged }
    }

    /// Where PostgreSQL's files are: under the data folder, or where its pointer says.
    pub fn postgres(&self) -> PathBuf {
        let asked = self.data().join("postgres");
        fs::read_to_string(asked.join("location")).map_or(asked, |text| PathBuf::from(text.trim_end_matches('\n')))
    }

    fn postmaster_file(&self) -> Vec<String> {
        let text = fs::read_to_string(self.postgres().join("cluster/postmaster.pid")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The process id of this data's PostgreSQL; none when it was stopped in order.
    pub fn postmaster(&self) -> Option<u32> {
        self.postmaster_file().first()?.trim().parse().ok()
    }

    /// The folder of its socket.
    pub fn socket(&self) -> Option<PathBuf> {
        Some(PathBuf::from(self.postmaster_file().get(4)?))
    }

    /// A connection as the superuser, once PostgreSQL is up.
    pub async fn superuser(&self) -> Option<PgConnection> {
        let (socket, port) = (self.socket()?, self.postmaster_file().get(3)?.trim().parse().ok()?);
        let options = PgConnectOptions::new_without_pgpass().socket(socket).port(port).username("postgres");
        options.database(DATABASE).connect().await.ok()
    }

    /// The application's URL, once PostgreSQL is up.
    pub fn application_url(&self) -> Option<String> {
        let (socket, file) = (self.socket()?, self.postmaster_file());
        let host = socket.to_str()?.replace('/', "%2F");
        Some(format!("postgres://{APPLICATION_ROLE}@{host}:{}/{DATABASE}?sslmode=disable", file.get(3)?.trim()))
    }

    /// Kills PostgreSQL whole, all its processes at the same moment, as a power cut would: when `moment` has come.
    pub async fn kill_postgres(&self, moment: impl Future<Output = ()>) {
        let running = self.postgres_processes();
        assert!(!running.is_empty(), "it is there to be killed");
        moment.await;
        // One that has ended by itself in between is no failure.
        Command::new("kill")
            .arg("-KILL")
            .args(&running)
            .stderr(Stdio::null())
            .status()
            .expect("kill is on every machine");
        until("the end of PostgreSQL", async || self.postgres_processes().is_empty().then_some(())).await;
    }

    /// The postmaster of this data, if it lives, and what it started.
    fn postgres_processes(&self) -> Vec<String> {
        let Some(postmaster) = self.postmaster() else { return Vec::new() };
        let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat=,args="]).output();
        let listed = String::from_utf8_lossy(&listed.expect("ps is on every machine").stdout).into_owned();
        let (postmaster, data) = (postmaster.to_string(), self.postgres().join("cluster").display().to_string());
        let processes: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        // The id of a dead one may be somebody else's by now; a dead one that nobody collected is dead.
        let ours = |process: &Vec<&str>| match process[..] {
            [pid, _, stat, ..] if stat.starts_with('Z') || pid == "0" => false,
            [pid, ..] if pid == postmaster => process.iter().any(|argument| *argument == data),
            _ => false,
        };
        if !processes.iter().any(ours) {
            return Vec::new();
        }
        let started = |process: &&Vec<&str>| process[0] == postmaster || process[1] == postmaster;
        processes.iter().filter(started).map(|process| process[0].to_owned()).collect()
    }

    /// Starts a killed PostgreSQL again exactly as it was started, beneath a server that lives on.
    pub async fn restart_postgres(&self) {
        let (cluster, socket) = (self.postgres().join("cluster"), self.socket().expect("a killed one leaves its file"));
        // What a killed server leaves; PostgreSQL itself clears it up only when its process id is free.
        for left in [cluster.join("postmaster.pid"), socket.join(".s.PGSQL.54329.lock")] {
            fs::remove_file(left).ok();
        }
        let options = fs::read_to_string(cluster.join("postmaster.opts")).expect("a started one leaves its options");
        let program =
            options.split(" \"").next().map(Path::new).and_then(Path::parent).expect("its program comes first");
        until("PostgreSQL's start", async || {
            // Without a live server a restart is a start with the options of before.
            let mut command = Command::new(program.join("pg_ctl"));
            command
                .args(["restart", "-w", "-s", "-D"])
                .arg(&cluster)
                .arg("-l")
                .arg(self.postgres().join("postgres.log"));
            command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
            let (owner, us) = (fs::metadata(&cluster).ok()?, fs::metadata(self.folder.path()).ok()?);
            if owner.uid() != us.uid() {
                command.uid(owner.uid()).gid(owner.gid());
            }
            command.process_group(0);
            // The last of the killed one's memory may still be in use: then once more.
            let started = tokio::process::Command::from(command).output().await;
            started.expect("pg_ctl runs").status.success().then_some(())
        })
        .await;
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
    let sent = Command::new("kill").args(["-KILL".to_owned(), pid.to_string()]).status();
    assert!(sent.expect("kill is on every machine").success(), "it is there to be killed");
}
