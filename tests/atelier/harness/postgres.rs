//! One private PostgreSQL for the test process, and a database cloned from a migrated template for each test.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use atelier_server::database;
use atelier_server::embedded_postgres::{
    APPLICATION_ROLE, EmbeddedOptions, EmbeddedPostgres, OWNER_ROLE, find_programs,
};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many tests have a database at once (DESIGN 8).
const AT_ONCE: usize = 4;
/// The most connections of one test's pool.
const CONNECTIONS: u32 = 12;
const TEMPLATE: &str = "atelier_template";

/// A test's own database. It is not dropped: the whole server goes with the test process.
pub struct TestDatabase {
    /// The application's URL.
    pub url: String,
    /// The owner's URL.
    pub owner_url: String,
    /// The superuser's URL.
    pub superuser_url: String,
    /// The application's pool.
    pub pool: PgPool,
    _place: SemaphorePermit<'static>,
}

/// The server, for as long as the process lives.
pub struct TestServer {
    postgres: EmbeddedPostgres,
    _watchdog: Watchdog,
}

/// Stops the server and removes its folder when this process ends, in whatever way: it waits for the end of its own input,
/// which this process holds open.
struct Watchdog(#[expect(dead_code, reason = "held open: its end is the signal")] Child);

impl Watchdog {
    fn start(postgres: &EmbeddedPostgres, folder: &std::path::Path) -> Self {
        let programs = find_programs().expect("the server runs, so its programs were found");
        let pid = postgres.postmaster_pid();
        // SIGINT is PostgreSQL's fast shutdown. The folder goes once the process is gone.
        let script = "cat >/dev/null; kill -INT \"$1\" 2>/dev/null; n=0; \
                      while kill -0 \"$1\" 2>/dev/null && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.1; done; rm -rf \"$2\" \"$3\" \"$4\"";
        let data = postgres.data_directory().parent().unwrap_or(folder);
        let running = std::fs::read_to_string(postgres.data_directory().join("postmaster.pid"));
        let running = running.expect("a running server says where it is");
        let socket = running.lines().nth(4).expect("its socket's folder stands in the fifth line");
        let child = Command::new("sh")
            .args(["-c", script, "watchdog", &pid.to_string()])
            .args([folder, data, std::path::Path::new(socket)])
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            // A group of its own: what ends this process by its group, Ctrl-C for one, must not end the watchdog first.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell is on every machine that runs these tests");
        Self(child)
    }
}

/// The server of this test process, started on first use by a thread of its own: it outlives every test's runtime.
pub fn server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.expect("a runtime can be built");
            runtime.block_on(async move {
                send.send(start().await).expect("the test that asked is waiting");
                std::future::pending::<()>().await;
            });
        });
        receive.recv().expect("the private PostgreSQL starts; its error is printed above")
    })
}

async fn start() -> TestServer {
    let folder = tempfile::Builder::new().prefix("atelier-test-").tempdir().expect("a temporary folder").keep();
    // Not durable: these tests do not kill the server. Those that do bring their own, durable one.
    let options = EmbeddedOptions { folder: folder.clone(), durable: false, extra_settings: Vec::new() };
    let postgres = match EmbeddedPostgres::start(options).await {
        Ok(postgres) => postgres,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "the tests' PostgreSQL did not start: {error}");
            panic!("{error}");
        }
    };
    let watchdog = Watchdog::start(&postgres, &folder);
    postgres.ensure_database(TEMPLATE).await.expect("the template database");
    database::migrate(&postgres.url(OWNER_ROLE, TEMPLATE)).await.expect("the migrations run");
    TestServer { postgres, _watchdog: watchdog }
}

impl TestDatabase {
    /// A fresh, migrated database.
    pub async fn fresh() -> Self {
        Self::cloned(TEMPLATE).await
    }

    /// The database of an earlier release, from the dump that `pg_dump --inserts` made of it; not migrated yet.
    pub async fn of_dump(dump: &str) -> Self {
        let database = Self::cloned("template0").await;
        let mut superuser = PgConnection::connect(&database.superuser_url).await.expect("the superuser connects");
        sqlx::raw_sql(dump).execute(&mut superuser).await.expect("the dump is read back");
        superuser.close().await.expect("the superuser leaves");
        database
    }

    async fn cloned(template: &str) -> Self {
        static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let place = PLACES.acquire().await.expect("the semaphore is never closed");
        let server = tokio::task::spawn_blocking(server).await.expect("the server starts");
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin =
            PgConnection::connect(&server.postgres.superuser_url("postgres")).await.expect("the superuser connects");
        let create = format!("create database {name} template {template} owner {OWNER_ROLE}");
        admin.execute(create.as_str()).await.expect("a database is cloned from the template");
        admin.close().await.expect("the superuser leaves");
        let url = server.postgres.url(APPLICATION_ROLE, &name);
        let pool = database::pool(&url, CONNECTIONS).await.expect("the application connects");
        Self {
            owner_url: server.postgres.url(OWNER_ROLE, &name),
            superuser_url: server.postgres.superuser_url(&name),
            url,
            pool,
            _place: place,
        }
    }
}
