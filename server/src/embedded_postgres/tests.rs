//! The private server as its users see it, with a real PostgreSQL: kept data, one owner, orphans, crashes, silence in the log.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::account::Account;
use super::*;

/// How often something is looked for before the test fails: with [`PAUSE`] in between, two minutes.
const LOOKS: usize = 1_200;

/// A folder for one server; at its end whatever still runs there is stopped and every trace removed.
struct Home(TempDir);

impl Home {
    /// PostgreSQL's user can pass through it.
    fn open() -> Self {
        Self::with_mode(0o755)
    }

    /// Only we can pass through it.
    fn closed() -> Self {
        Self::with_mode(0o700)
    }

    fn with_mode(mode: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        Self(home)
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("postgres")
    }

    fn options(&self) -> EmbeddedOptions {
        // Not durable, for speed, where a test does not crash the server.
        let extra_settings = vec![("max_connections".to_owned(), "20".to_owned())];
        EmbeddedOptions { folder: self.folder(), durable: false, extra_settings }
    }

    async fn start(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::start(self.options()).await.unwrap()
    }

    async fn refused(&self) -> EmbeddedError {
        EmbeddedPostgres::start(self.options()).await.unwrap_err()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Ok(pointer) = folder::read_pointer(&self.folder()) else { return };
        let base = pointer.clone().unwrap_or_else(|| self.folder());
        let data = folder::cluster_under(&base);
        if let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) {
            let mut stop = Account::choose(&data).unwrap().command(&find_programs().unwrap().join("pg_ctl"));
            stop.args(["stop", "-m", "immediate", "-w", "-s", "-D"]).arg(&data).stderr(Stdio::null()).status().ok();
            if let Some(socket) = text.lines().nth(4).filter(|line| line.starts_with("/tmp/atelier-")) {
                std::fs::remove_dir_all(socket).ok();
            }
        }
        if let Some(base) = pointer {
            std::fs::remove_dir_all(&base).ok();
            std::fs::remove_dir(base.parent().unwrap()).ok();
        }
    }
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    client
}

async fn ask(server: &EmbeddedPostgres, question: &str) -> String {
    let client = client(&server.superuser_url(DATABASE)).await;
    client.query_one(question, &[]).await.unwrap().get(0)
}

async fn tell(server: &EmbeddedPostgres, statement: &str) {
    client(&server.superuser_url(DATABASE)).await.batch_execute(statement).await.unwrap();
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").arg(signal).arg(pid.to_string()).status().unwrap().success());
}

#[tokio::test]
async fn d8_a_stop_and_a_start_keep_the_data_and_leave_no_socket() {
    let home = Home::open();
    let server = home.start().await;
    tell(&server, "CREATE TABLE kept AS SELECT 'yes' AS word").await;
    let socket = server.postmaster.socket.clone();
    let mode = std::fs::metadata(&socket).unwrap().mode() & 0o777;
    assert_eq!((mode, ask(&server, "SHOW listen_addresses").await.as_str()), (0o700, ""));
    server.stop().await.unwrap();
    assert!(!socket.exists());
    let server = home.start().await;
    assert_eq!(ask(&server, "SELECT word FROM kept").await, "yes");
    assert_eq!(ask(&server, "SHOW data_checksums").await, "on");
    assert_eq!(
        ask(&server, "SELECT datcollate || pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'atelier'")
            .await,
        "CUTF8"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_a_second_owner_is_refused_and_told_the_folder() {
    let home = Home::open();
    let server = home.start().await;
    let error = home.refused().await;
    assert!(matches!(error, EmbeddedError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(home.folder().to_str().unwrap()));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_both_clients_get_in_by_the_url_as_the_application() {
    let home = Home::open();
    let server = home.start().await;
    let url = server.url(APPLICATION_ROLE, DATABASE);
    let row = client(&url).await.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), APPLICATION_ROLE);
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let user: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(user, APPLICATION_ROLE);
    assert!(
        client(&url).await.batch_execute("CREATE TABLE public.mine ()").await.is_err(),
        "only the owner may create"
    );
    client(&server.url(OWNER_ROLE, DATABASE)).await.batch_execute("CREATE TABLE public.ours ()").await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_databases_are_made_once_and_copied_from_a_template() {
    let home = Home::open();
    let server = home.start().await;
    let (one, other) = tokio::join!(server.ensure_database("model"), server.ensure_database("model"));
    one.and(other).unwrap();
    client(&server.url(OWNER_ROLE, "model")).await.batch_execute("CREATE TABLE migrated ()").await.unwrap();
    server.create_database_from_template("t_1", "model").await.unwrap();
    client(&server.url(OWNER_ROLE, "t_1")).await.batch_execute("SELECT FROM migrated").await.unwrap();
    let again = server.create_database_from_template("t_1", "model").await;
    assert!(matches!(again, Err(EmbeddedError::Sql { .. })));
    assert!(matches!(server.ensure_database("x\"y").await, Err(EmbeddedError::UnusableName(_))));
    server.stop().await.unwrap();
}

/// Not a test by itself: the process that the next one starts and kills; without a folder it has nothing to do. Its standard
/// error says when it is ready.
#[tokio::test]
async fn owner_that_is_killed() {
    let Some(folder) = std::env::var_os("ATELIER_TEST_OWNER_FOLDER") else { return };
    let extra_settings = vec![("max_connections".to_owned(), "20".to_owned())];
    let options = EmbeddedOptions { folder: folder.into(), durable: false, extra_settings };
    let server = EmbeddedPostgres::start(options).await.unwrap();
    tell(&server, "CREATE TABLE kept AS SELECT 'yes' AS word").await;
    eprintln!("ready {}", server.postmaster_pid());
    let mut byte = [0_u8; 1];
    std::io::stdin().read_exact(&mut byte).ok();
}

fn start_owner(home: &Home) -> (Child, u32) {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "embedded_postgres::tests::owner_that_is_killed"])
        .env("ATELIER_TEST_OWNER_FOLDER", home.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stderr.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
    (owner, ready.expect("the owner starts").parse().unwrap())
}

#[tokio::test]
async fn d8_the_server_of_a_killed_owner_is_adopted() {
    let home = Home::open();
    let (mut owner, pid) = start_owner(&home);
    let error = home.refused().await;
    assert!(matches!(error, EmbeddedError::InUse { .. }), "the other process owns it: {error}");
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The postmaster lives on and must not have inherited the lock.
    let server = home.start().await;
    assert_eq!(server.postmaster_pid(), pid);
    assert_eq!(ask(&server, "SELECT word FROM kept").await, "yes");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_a_killed_postmaster_is_started_again_with_its_data() {
    let home = Home::open();
    // Without it even a killed process loses what it said was committed.
    let durable = EmbeddedOptions { durable: true, ..home.options() };
    let server = EmbeddedPostgres::start(durable.clone()).await.unwrap();
    tell(&server, "CREATE TABLE kept AS SELECT 'yes' AS word").await;
    let busy = client(&server.superuser_url(DATABASE)).await;
    let (old, socket) = (server.postmaster_pid(), server.postmaster.socket.clone());
    kill("-9", old);
    drop(server);
    let server = EmbeddedPostgres::start(durable).await.unwrap();
    assert_ne!(server.postmaster_pid(), old);
    assert_eq!(server.postmaster.socket, socket, "stale sockets do not pile up");
    assert_eq!(ask(&server, "SELECT word FROM kept").await, "yes");
    assert!(busy.batch_execute("SELECT 1").await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_a_server_that_does_not_stop_in_order_stops_at_once_and_keeps_its_data() {
    let home = Home::open();
    let durable = EmbeddedOptions { durable: true, ..home.options() };
    let server = EmbeddedPostgres::start(durable.clone()).await.unwrap();
    tell(&server, "CREATE TABLE kept AS SELECT 'yes' AS word").await;
    // Without its checkpointer it would wait for ever.
    let checkpointer = "SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    kill("-STOP", ask(&server, checkpointer).await.parse().unwrap());
    let (pid, data) = (server.postmaster_pid(), server.data_directory().to_owned());
    server.stop_in(Duration::from_secs(1)).await.unwrap();
    assert!(!data.join("postmaster.pid").exists() && !Path::new(&format!("/proc/{pid}/cwd")).exists());
    let server = EmbeddedPostgres::start(durable).await.unwrap();
    assert_eq!(ask(&server, "SELECT word FROM kept").await, "yes");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_a_server_without_fsync_is_never_adopted_by_one_who_wants_it() {
    let home = Home::open();
    let server = home.start().await;
    let pid = server.postmaster_pid();
    drop(server);
    let server = home.start().await;
    assert_eq!(server.postmaster_pid(), pid, "dropped, it lives on");
    drop(server);
    let durable = EmbeddedOptions { durable: true, ..home.options() };
    let server = EmbeddedPostgres::start(durable).await.unwrap();
    assert_ne!(server.postmaster_pid(), pid);
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(ask(&server, &format!("SHOW {setting}")).await, "on", "{setting}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_a_half_made_data_folder_is_thrown_away() {
    let home = Home::open();
    let draft = home.folder().join("cluster.init-999999");
    std::fs::create_dir_all(draft.join("base")).unwrap();
    std::fs::write(draft.join("PG_VERSION"), "15\n").unwrap();
    let server = home.start().await;
    assert!(!draft.exists());
    assert_eq!(server.data_directory(), home.folder().canonicalize().unwrap().join("cluster"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_other_data_is_refused_in_one_sentence_and_left_alone() {
    let home = Home::open();
    let data = home.folder().join("cluster");
    std::fs::create_dir_all(&data).unwrap();
    let error = home.refused().await;
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
    std::fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = home.refused().await;
    assert!(matches!(error, EmbeddedError::OtherVersion { found: 9, .. }), "{error}");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
}

#[tokio::test]
async fn d8_a_server_of_other_data_is_not_taken_for_ours() {
    let (home, other) = (Home::open(), Home::open());
    home.start().await.stop().await.unwrap();
    let running = other.start().await;
    let (ours, theirs) = (home.folder().join("cluster/postmaster.pid"), other.folder().join("cluster/postmaster.pid"));
    std::fs::write(&ours, std::fs::read(theirs).unwrap()).unwrap();
    let error = home.refused().await;
    assert!(matches!(error, EmbeddedError::OtherServer { .. }), "{error}");
    assert_eq!(ask(&running, "SELECT 'alive'").await, "alive");
    std::fs::remove_file(ours).unwrap();
    running.stop().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn d8_a_process_id_given_to_another_program_does_not_block_the_start() {
    let home = Home::open();
    home.start().await.stop().await.unwrap();
    let data = home.folder().join("cluster");
    let mut stranger = Account::choose(&data).unwrap().command(Path::new("/bin/sh"));
    let mut stranger = stranger.args(["-c", "exec tail -f /dev/null"]).spawn().unwrap();
    let text = format!("{}\n{}\n1700000000\n54329\n/tmp/atelier-gone\n\n\nready\n", stranger.id(), data.display());
    std::fs::write(data.join("postmaster.pid"), text).unwrap();
    let server = home.start().await;
    assert_eq!(ask(&server, "SELECT 'up'").await, "up");
    assert!(stranger.try_wait().unwrap().is_none(), "and the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn d8_a_folder_postgres_cannot_reach_is_replaced_and_found_again() {
    let home = Home::closed();
    let server = home.start().await;
    let data = server.data_directory().to_owned();
    let root = std::fs::metadata(home.0.path()).unwrap().uid() == 0;
    assert_eq!(data.starts_with("/var/lib/atelier"), root);
    assert_eq!(server.notices().len(), usize::from(root), "{:?}", server.notices());
    tell(&server, "CREATE TABLE kept AS SELECT 'yes' AS word").await;
    server.stop().await.unwrap();
    let server = home.start().await;
    assert_eq!((server.data_directory(), server.notices().len()), (data.as_path(), usize::from(root)));
    assert_eq!(ask(&server, "SELECT word FROM kept").await, "yes");
    server.stop().await.unwrap();
}

/// Fails, warns, is cancelled and dies with the word in hand, in every way that PostgreSQL likes to write about.
async fn speak(server: &EmbeddedPostgres, word: &str) {
    tell(server, &format!("DO $$ BEGIN RAISE WARNING '{word}'; END $$; CREATE TABLE u (a text UNIQUE); INSERT INTO u VALUES ('{word}')")).await;
    let speaker = client(&server.superuser_url(DATABASE)).await;
    assert!(speaker.query("SELECT $1::text::int", &[&word]).await.is_err());
    assert!(speaker.batch_execute(&format!("INSERT INTO u VALUES ('{word}')")).await.is_err());
    assert!(speaker.batch_execute(&format!("SELECT {word}")).await.is_err());
    for end in ["pg_terminate_backend", "kill"] {
        let victim = client(&server.superuser_url(DATABASE)).await;
        let pid: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let statement = format!("SELECT pg_sleep(3600), '{word}'");
        let dying = tokio::spawn(async move { victim.batch_execute(&statement).await.is_err() });
        let active =
            format!("SELECT count(*)::text FROM pg_stat_activity WHERE pid = {pid} AND query LIKE 'SELECT pg_sleep%'");
        let mut looks = 0;
        while ask(server, &active).await != "1" {
            assert!(looks < LOOKS && !dying.is_finished(), "{end}: its statement is never seen");
            looks += 1;
            // Each look is a connection, whose process takes a moment to end.
            tokio::time::sleep(PAUSE).await;
        }
        if end == "kill" {
            kill("-9", u32::try_from(pid).unwrap());
        } else {
            tell(server, &format!("SELECT pg_terminate_backend({pid})")).await;
        }
        assert!(dying.await.unwrap());
    }
}

#[tokio::test]
async fn d7_no_statement_and_no_value_reaches_the_log() {
    let home = Home::open();
    let server = home.start().await;
    speak(&server, "canary5d1").await;
    let log = server.data_directory().with_file_name("postgres.log");
    server.stop().await.unwrap();
    let written = std::fs::read_to_string(log).unwrap();
    assert!(written.contains("terminated by signal 9"), "the log was written: {written}");
    assert!(!written.contains("canary"), "{written}");
}
