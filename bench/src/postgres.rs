//! The private PostgreSQL both systems are measured on: durable, on its own socket, gone when this process is.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atelier_server::database;
use atelier_server::embedded_postgres::{APPLICATION_ROLE, OWNER_ROLE, find_programs};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::{Instant, sleep};

use crate::Fallible;

/// Only names the socket's file: there is no TCP.
const PORT: u16 = 54330;
const PATIENCE: Duration = Duration::from_secs(60);

/// The same for both systems. The log may grow for a whole round without a checkpoint; each round begins with one.
pub const SETTINGS: [(&str, &str); 14] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "256MB"),
    ("max_wal_size", "16GB"),
    ("min_wal_size", "2GB"),
    ("checkpoint_timeout", "1h"),
    ("jit", "off"),
    ("max_connections", "200"),
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("timezone", "UTC"),
    ("logging_collector", "off"),
    ("log_min_messages", "warning"),
];

/// The stock crate's own schema, as its documentation gives it, and a table for each view.
const STOCK_SCHEMA: &str = "
create table events (aggregate_type text not null, aggregate_id text not null, sequence bigint check (sequence >= 0) not null,
    event_type text not null, event_version text not null, payload json not null, metadata json not null,
    primary key (aggregate_type, aggregate_id, sequence));
create table snapshots (aggregate_type text not null, aggregate_id text not null, last_sequence bigint check (last_sequence >= 0) not null,
    current_snapshot bigint check (current_snapshot >= 0) not null, payload json not null,
    primary key (aggregate_type, aggregate_id, last_sequence));
create table balance_view (view_id text not null, version bigint check (version >= 0) not null, payload json not null, primary key (view_id));
create table history_view (view_id text not null, version bigint check (version >= 0) not null, payload json not null, primary key (view_id));";

/// Whose tables a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The stock crate's.
    Stock,
    /// Ours, by its migrations.
    Atelier,
}

impl Schema {
    const fn template(self) -> &'static str {
        match self {
            Self::Stock => "stock_template",
            Self::Atelier => "atelier_template",
        }
    }
}

/// A database of one round.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    /// For the program under test: the application's role for ours, the tables' owner for stock.
    pub url: String,
    /// For the harness.
    pub superuser_url: String,
}

/// A running server.
pub struct Server {
    postgres: Child,
    watchdog: Child,
    home: PathBuf,
    version: String,
    number: AtomicU32,
}

impl Server {
    /// Makes and starts a server in a new folder below `parent`; `preload` is loaded into it.
    pub async fn start(parent: &Path, preload: Option<&Path>) -> Fallible<Self> {
        let programs = find_programs()?;
        let user = Unprivileged::find()?;
        let home = tempfile::Builder::new().prefix("atelier-bench-").tempdir_in(parent)?.keep();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))?;
        user.own(&home)?;
        let data = home.join("data");
        let mut initdb = user.command(&programs.join("initdb"));
        initdb.arg("-D").arg(&data).args([
            "--locale=C",
            "--encoding=UTF8",
            "--auth=trust",
            "--data-checksums",
            "-U",
            "postgres",
        ]);
        let made = initdb.output()?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let mut command = user.command(&programs.join("postgres"));
        command.arg("-D").arg(&data).args(["-p", &PORT.to_string(), "-k"]).arg(&home);
        for (name, value) in SETTINGS {
            command.args(["-c", &format!("{name}={value}")]);
        }
        if let Some(library) = preload {
            // Where the server's user can reach it.
            let copy = home.join("preload.so");
            std::fs::copy(library, &copy)?;
            user.own(&copy)?;
            command.env("LD_PRELOAD", &copy);
        }
        let log = std::fs::File::create(home.join("postgres.log"))?;
        let postgres = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let watchdog = watchdog(postgres.id(), &home)?;
        let mut server = Self { postgres, watchdog, home, version: String::new(), number: AtomicU32::new(1) };
        server.prepare(&data).await?;
        Ok(server)
    }

    async fn prepare(&mut self, data: &Path) -> Fallible<()> {
        let mut admin = self.connect().await?;
        let serves: String = sqlx::query_scalar("show data_directory").fetch_one(&mut admin).await?;
        if Path::new(&serves).canonicalize()? != data.canonicalize()? {
            return Err(format!("another server answered: its data is in {serves}").into());
        }
        self.version = sqlx::query_scalar("show server_version").fetch_one(&mut admin).await?;
        for role in [OWNER_ROLE, APPLICATION_ROLE] {
            admin.execute(format!("create role {role} login").as_str()).await?;
        }
        for schema in [Schema::Stock, Schema::Atelier] {
            let template = schema.template();
            admin.execute(format!("create database {template} owner {OWNER_ROLE}").as_str()).await?;
            let owner = self.url(OWNER_ROLE, template);
            match schema {
                Schema::Atelier => database::migrate(&owner).await?,
                Schema::Stock => {
                    let mut connection = PgConnection::connect(&owner).await?;
                    connection.execute(STOCK_SCHEMA).await?;
                    connection.close().await?;
                }
            }
        }
        Ok(admin.close().await?)
    }

    /// The superuser's connection, as soon as the server takes one.
    async fn connect(&self) -> Fallible<PgConnection> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match PgConnection::connect(&self.url("postgres", "postgres")).await {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() >= deadline => {
                    return Err(format!("{error}; see {}/postgres.log", self.home.display()).into());
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Which PostgreSQL it is.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it lives.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A URL that sqlx and tokio-postgres both read: the socket's folder is the host, percent-encoded.
    fn url(&self, user: &str, database: &str) -> String {
        let host = self.home.to_string_lossy().bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() {
                out.push(char::from(byte))
            } else {
                out.push_str(&format!("%{byte:02X}"))
            }
            out
        });
        format!("postgres://{user}@{host}:{PORT}/{database}?sslmode=disable")
    }

    /// A new database with these tables, all empty.
    pub async fn fresh(&self, schema: Schema) -> Fallible<Database> {
        let name = format!("round_{}", self.number.fetch_add(1, Ordering::Relaxed));
        let mut admin = self.connect().await?;
        let create = format!("create database {name} template {} owner {OWNER_ROLE}", schema.template());
        admin.execute(create.as_str()).await?;
        admin.close().await?;
        let role = if schema == Schema::Stock { OWNER_ROLE } else { APPLICATION_ROLE };
        Ok(Database { url: self.url(role, &name), superuser_url: self.url("postgres", &name), name })
    }

    /// Writes out what lies in memory, so that no checkpoint falls into the round that follows.
    pub async fn checkpoint(&self) -> Fallible<()> {
        let mut admin = self.connect().await?;
        admin.execute("checkpoint").await?;
        Ok(admin.close().await?)
    }

    /// Removes a round's database.
    pub async fn discard(&self, database: Database) -> Fallible<()> {
        let mut admin = self.connect().await?;
        admin.execute(format!("drop database {} with (force)", database.name).as_str()).await?;
        Ok(admin.close().await?)
    }

    /// The mean milliseconds of a small durable commit by one client.
    pub async fn commit_ms(&self) -> Fallible<f64> {
        const COMMITS: u32 = 50;
        let mut admin = self.connect().await?;
        admin.execute("create table commits (n integer)").await?;
        let started = Instant::now();
        for _ in 0..COMMITS {
            admin.execute("insert into commits values (1)").await?;
        }
        let mean = started.elapsed().as_secs_f64() * 1000.0 / f64::from(COMMITS);
        admin.execute("drop table commits").await?;
        admin.close().await?;
        Ok(mean)
    }

    /// Stops the server and removes its folder.
    pub async fn stop(mut self) -> Fallible<()> {
        // SIGINT is PostgreSQL's fast shutdown.
        Command::new("kill").args(["-INT", &self.postgres.id().to_string()]).status()?;
        let deadline = Instant::now() + PATIENCE;
        while self.postgres.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return Err("PostgreSQL does not stop".into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        std::fs::remove_dir_all(&self.home)?;
        // The end of its input is its signal; it finds nothing left to do.
        drop(self.watchdog.stdin.take());
        self.watchdog.wait()?;
        Ok(())
    }
}

/// Stops the server and removes its folder when this process ends in whatever way: it waits for the end of its own input,
/// which this process holds open. The folder names the process to stop, so that a recycled id is never stopped.
fn watchdog(pid: u32, home: &Path) -> Fallible<Child> {
    let script = "cat >/dev/null; [ \"$(head -n 1 \"$2/data/postmaster.pid\" 2>/dev/null)\" = \"$1\" ] && kill -INT \"$1\"; n=0; \
                  while [ -e \"$2/data/postmaster.pid\" ] && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.1; done; rm -rf \"$2\"";
    let child = Command::new("sh")
        .args(["-c", script, "watchdog", &pid.to_string()])
        .arg(home)
        // A group of its own: Ctrl-C must not end the watchdog first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// Who runs PostgreSQL: ourselves, or somebody else when we are root, which it refuses.
struct Unprivileged(Option<(u32, u32)>);

impl Unprivileged {
    fn find() -> Fallible<Self> {
        if id("-u", None) != Some(0) {
            return Ok(Self(None));
        }
        let known = ["postgres", "nobody"].iter().find_map(|name| Some((id("-u", Some(name))?, id("-g", Some(name))?)));
        known
            .map(|ids| Self(Some(ids)))
            .ok_or_else(|| "PostgreSQL does not run as root, and there is no other user".into())
    }

    fn own(&self, path: &Path) -> Fallible<()> {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/");
        command.stdin(Stdio::null()).process_group(0);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(which: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(which).args(user).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
