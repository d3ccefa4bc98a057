//! PostgreSQL servers of a test's own, which it may kill, copy and promote: a leader with its standby, a server that is restored, one that
//! speaks TLS. They are not durable on a disk, but what a server has written outlives its processes, and that is all these tests take away.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use atelier_server::database;
use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE, OWNER_ROLE, find_programs};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::process::until;

/// How many tests have servers at once.
const AT_ONCE: usize = 1;
/// The number in the names of the sockets; no server listens on a port unless it is told to.
const PORT: u16 = 5433;
/// Small, quick, and ready to be a leader. `postgres -c` has them, so that a copy can have others.
const SETTINGS: [&str; 17] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=on",
    "shared_buffers=32MB",
    "max_connections=80",
    "wal_level=replica",
    "max_wal_senders=4",
    "wal_keep_size=256MB",
    "hot_standby=on",
    "wal_retrieve_retry_interval=100ms",
    "jit=off",
    "timezone=UTC",
    "logging_collector=off",
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "autovacuum_naptime=10s",
    "max_wal_size=256MB",
];

/// The folder in which a test's servers stand. They end with it.
pub struct Ground {
    folder: TempDir,
    programs: PathBuf,
    /// Who runs them, when the tests run as root.
    user: Option<(u32, u32)>,
    watchdog: Child,
    _place: SemaphorePermit<'static>,
}

impl Ground {
    /// An empty one.
    pub async fn open() -> Self {
        static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
        let place = PLACES.acquire().await.expect("the semaphore is never closed");
        let folder = tempfile::Builder::new().prefix("atelier-cluster-").tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our own folder");
        let user = unprivileged();
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).expect("root may give folders away");
        }
        let watchdog = watchdog(folder.path());
        let programs = find_programs().expect("PostgreSQL's programs are here");
        Self { folder, programs, user, watchdog, _place: place }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives a file to the servers' user, closed to others.
    pub fn give(&self, file: &Path) {
        fs::set_permissions(file, Permissions::from_mode(0o600)).expect("our own file");
        if let Some((user, group)) = self.user {
            chown(file, Some(user), Some(group)).expect("root may give files away");
        }
    }

    /// Gives a folder to the servers' user.
    pub fn open_to_servers(&self, folder: &Path) {
        if let Some((user, group)) = self.user {
            chown(folder, Some(user), Some(group)).expect("root may give folders away");
        }
    }

    /// One of PostgreSQL's programs, run to its end.
    async fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::null());
        let ended = tokio::process::Command::from(command).kill_on_drop(true).output().await.expect("it starts");
        assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir(self.folder.path());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn place(&self, name: &str) -> (PathBuf, PathBuf) {
        let (data, socket) = (self.folder.path().join(name), self.folder.path().join(format!("{name}.socket")));
        fs::create_dir(&socket).expect("a name is used once");
        self.open_to_servers(&socket);
        (data, socket)
    }

    /// A new server with the program's roles and its migrated database.
    pub async fn server(&self, name: &str, settings: &[&str]) -> Server {
        let (data, socket) = self.place(name);
        let folder = data.to_str().expect("a plain name");
        let how = ["--locale=C", "--encoding=UTF8", "--auth=trust", "--no-sync", "--username=postgres"];
        // Small segments, so that an archive is never far behind.
        self.run("initdb", &[&["-D", folder, "--wal-segsize=1"], &how[..]].concat()).await;
        let mut server = Server { data, socket, port: PORT, child: None };
        server.start(self, settings).await;
        let mut superuser = server.superuser("postgres").await;
        for statement in [
            format!("create role {OWNER_ROLE} login"),
            format!("create role {APPLICATION_ROLE} login"),
            format!("create database {DATABASE} owner {OWNER_ROLE}"),
        ] {
            superuser.execute(statement.as_str()).await.expect("a fresh server takes it");
        }
        superuser.close().await.expect("the superuser leaves");
        database::migrate(&server.url(OWNER_ROLE)).await.expect("the migrations run");
        server
    }

    /// A copy of a running server as it is now, not started.
    pub async fn copy(&self, name: &str, of: &Server) -> Server {
        let (data, socket) = self.place(name);
        let (folder, from) = (data.to_str().expect("a plain name"), of.socket.to_str().expect("a plain name"));
        let how = ["-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync"];
        self.run("pg_basebackup", &[&["-D", folder, "-h", from, "-p", &of.port.to_string()], &how[..]].concat()).await;
        Server { data, socket, port: PORT, child: None }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The servers have been dropped before, or are ended by the watchdog, which is told by the end of its input.
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().ok();
    }
}

/// Ends every server in a folder when this process ends, in whatever way: it waits for the end of its own input, which this process
/// holds open. Immediately: nothing of these servers is needed any more.
fn watchdog(folder: &Path) -> Child {
    let script = "cat >/dev/null; for file in \"$1\"/*/postmaster.pid; do \
                  [ -e \"$file\" ] && kill -QUIT \"$(head -n 1 \"$file\")\" 2>/dev/null; done; \
                  n=0; while ls \"$1\"/*/postmaster.pid >/dev/null 2>&1 && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done; rm -rf \"$1\"";
    Command::new("sh")
        .args(["-c", script, "watchdog"])
        .arg(folder)
        // A group of its own: what ends this process by its group, Ctrl-C for one, must not end the watchdog first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell is on every machine that runs these tests")
}

/// User and group of PostgreSQL's programs, which refuse to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
}

/// One server. It is killed when it is let go.
pub struct Server {
    data: PathBuf,
    socket: PathBuf,
    /// Which one it is started on, if it is told to listen.
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.socket.join(format!(".s.PGSQL.{}", self.port))
    }

    /// A role's URL over the socket.
    pub fn url(&self, role: &str) -> String {
        self.url_of(role, DATABASE)
    }

    fn url_of(&self, role: &str, database: &str) -> String {
        let host = self.socket.to_str().expect("a plain name").replace('/', "%2F");
        format!("postgres://{role}@{host}:{}/{database}?sslmode=disable", self.port)
    }

    /// A connection of the superuser, as soon as the server takes one.
    pub async fn superuser(&self, database: &str) -> PgConnection {
        let url = self.url_of("postgres", database);
        until("a server that takes connections", async || PgConnection::connect(&url).await.ok()).await
    }

    /// Adds lines to a file of its data folder, `pg_hba.conf` for one, or makes it.
    pub fn write(&self, ground: &Ground, file: &str, text: &str) {
        let path = self.data.join(file);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, format!("{text}{before}")).expect("its data folder");
        ground.give(&path);
    }

    /// Starts it with these settings besides the common ones, and waits until it takes connections, read-only ones for a standby.
    pub async fn start(&mut self, ground: &Ground, settings: &[&str]) {
        assert!(self.child.is_none(), "it runs already");
        let log = || File::options().create(true).append(true).open(self.data.with_extension("log")).expect("our own");
        let mut command = ground.command("postgres");
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket).arg("-p").arg(self.port.to_string());
        for setting in SETTINGS.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(log()).stderr(log()).process_group(0);
        self.child = Some(command.spawn().expect("it starts"));
        let url = self.url_of("postgres", "postgres");
        until("the start of a server", async || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("our own child"));
            assert!(ended.is_none(), "it ended: {}", self.log());
            PgConnection::connect(&url).await.ok()
        })
        .await;
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }

    /// Kills it whole, as a power cut would.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let postmaster = child.id().to_string();
        // Frozen first, so that it starts no process that is not in the list.
        signal("STOP", std::slice::from_ref(&postmaster));
        let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().expect("ps is on every machine");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let pairs = listed.lines().filter_map(|line| line.trim().split_once(' '));
        let mut all: Vec<String> =
            pairs.filter(|(_, parent)| parent.trim() == postmaster).map(|(pid, _)| pid.to_owned()).collect();
        all.insert(0, postmaster);
        signal("KILL", &all);
        child.wait().ok();
        // A watchdog must not meet somebody else's process under this number.
        fs::remove_file(self.data.join("postmaster.pid")).ok();
    }

    /// Changes a setting for good.
    pub async fn alter(&self, setting: &str, value: &str) {
        let mut superuser = self.superuser(DATABASE).await;
        let alter = format!("alter system set {setting} = '{value}'");
        superuser.execute(alter.as_str()).await.expect("a setting");
        superuser.execute("select pg_reload_conf()").await.expect("the superuser may");
    }

    /// Makes a standby the leader, and waits until it is.
    pub async fn promote(&self) {
        let mut superuser = self.superuser(DATABASE).await;
        let promoted = sqlx::query_scalar::<_, bool>("select pg_promote(true, 60)").fetch_one(&mut superuser).await;
        assert!(promoted.expect("a standby can be promoted"), "{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One that has ended by itself in between is no failure.
fn signal(name: &str, pids: &[String]) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).args(pids).stderr(Stdio::null()).status().expect("kill is on every machine");
}
