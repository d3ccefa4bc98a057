//! TLS to PostgreSQL: in each `sslmode` the append connection does what the pool does with the same URL, and a node has no connection that
//! is in the clear when its URL asks for more.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use atelier_commands::event_store::{AppendError, Appended, EventStore, PostgresEventStore, WriterOptions};
use atelier_server::database;
use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE, OWNER_ROLE};
use futures::future::join_all;
use sqlx::{Executor, PgConnection, PgPool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::appends::append;
use crate::harness::cluster::{Ground, Server};
use crate::harness::line::Line;
use crate::harness::process::Home;

/// How long the append connection of a refused URL is tried.
const TRIED: Duration = Duration::from_secs(6);
/// A role that must show a certificate.
const WITH_CERTIFICATE: &str = "atelier_certified";

fn openssl(folder: &Path, line: &str) {
    let ended = Command::new("openssl").args(line.split_whitespace()).current_dir(folder).output();
    let ended = ended.expect("these tests need the openssl command, which PostgreSQL's packages bring");
    assert!(ended.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&ended.stderr));
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

fn authority(folder: &Path, name: &str) {
    openssl(folder, &format!("req -x509 {KEY} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"));
}

/// A certificate of an authority for a name.
fn certificate(folder: &Path, authority: &str, file: &str, name: &str, alternative: &str) {
    std::fs::write(folder.join("extension"), alternative).expect("our own folder");
    openssl(folder, &format!("req -new {KEY} -keyout {file}.key -out {file}.request -subj /CN={name}"));
    let signed = format!("x509 -req -in {file}.request -CA {authority}.pem -CAkey {authority}.key -CAcreateserial");
    openssl(folder, &format!("{signed} -days 2 -extfile extension -out {file}.pem"));
}

/// A server that speaks TLS on a port, as `localhost`; over its socket, and what leads there, it does not.
struct Encrypted {
    server: Server,
    ground: Ground,
}

impl Encrypted {
    async fn start() -> Self {
        let ground = Ground::open().await;
        let folder = ground.path();
        authority(folder, "authority");
        authority(folder, "stranger");
        certificate(folder, "authority", "server", "localhost", "subjectAltName=DNS:localhost");
        certificate(folder, "authority", "client", WITH_CERTIFICATE, "extendedKeyUsage=clientAuth");
        ground.give(&folder.join("server.key"));
        let port =
            TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr()).expect("a free port").port();
        let mut server = ground.server("encrypted", &[]).await;
        let mut superuser = server.superuser(DATABASE).await;
        let role = format!("create role {WITH_CERTIFICATE} login in role {APPLICATION_ROLE}");
        superuser.execute(role.as_str()).await.expect("a role");
        drop(superuser);
        server.kill();
        server.write(&ground, "pg_hba.conf", &format!("hostssl all {WITH_CERTIFICATE} all cert\n"));
        let file = |setting: &str, name: &str| format!("{setting}={}", ground.path().join(name).display());
        let files = [
            file("ssl_cert_file", "server.pem"),
            file("ssl_key_file", "server.key"),
            file("ssl_ca_file", "authority.pem"),
            "listen_addresses=127.0.0.1".to_owned(),
            "ssl=on".to_owned(),
            // `atelier doctor` would say that this server is not durable.
            "fsync=on".to_owned(),
        ];
        server.port = port;
        server.start(&ground, &files.each_ref().map(String::as_str)).await;
        Self { server, ground }
    }

    /// A URL of the database by a host's name or number; in the query `@` stands for the folder of the certificates.
    fn url(&self, role: &str, host: &str, query: &str) -> String {
        let query = query.replace('@', self.ground.path().to_str().expect("a plain name"));
        format!("postgres://{role}@{host}:{}/{DATABASE}?{query}", self.server.port)
    }
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Clear,
    Tls,
    Refused,
}
use Became::{Clear, Refused, Tls};

/// Whether connections of this application to the database are encrypted: all of them, or none.
async fn encrypted(superuser: &mut PgConnection, application: &str) -> Became {
    let query = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = $1";
    let all: Vec<bool> = sqlx::query_scalar(query).bind(application).fetch_all(superuser).await.expect("the list");
    match (all.is_empty(), all.iter().all(|ssl| *ssl), all.iter().any(|ssl| *ssl)) {
        (false, true, _) => Tls,
        (false, _, false) => Clear,
        _ => panic!("{application}: {all:?}"),
    }
}

/// What becomes of the pool's connection by a URL.
async fn of_the_pool(url: &str) -> (Became, Option<PgPool>) {
    let Ok(pool) = database::pool(url, 1).await else { return (Refused, None) };
    let ssl = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let ssl: bool = sqlx::query_scalar(ssl).fetch_one(&pool).await.expect("its own line");
    (if ssl { Tls } else { Clear }, Some(pool))
}

/// What becomes of the append connection by a URL: the event is written, and the server says over what.
async fn of_the_appends(server: &Server, pool: PgPool, url: &str, number: usize) -> Became {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let options = WriterOptions { deadline: TRIED, ..WriterOptions::default() };
    let node = PostgresEventStore::start(pool, url, options, &tasks, stop.clone()).expect("a good URL");
    let became = match node.append(append(&format!("stream-{number}"), 0)).await {
        Ok(Appended::Written { .. }) => encrypted(&mut server.superuser(DATABASE).await, "atelier-append").await,
        Err(AppendError::Overloaded) => Refused,
        other => panic!("{url}: {other:?}"),
    };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    became
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_each_mode_means_the_same_to_the_append_connection_as_to_the_pool() {
    let there = Encrypted::start().await;
    let line = Line::to(there.server.socket()).await;
    let by = |host: &str, query: &str| there.url(APPLICATION_ROLE, host, query);
    let plain = |query: &str| {
        by("localhost", query).replace(&format!(":{}/", there.server.port), &format!(":{}/", line.address.port()))
    };
    let certified = |query: &str| there.url(WITH_CERTIFICATE, "localhost", query);
    let table = [
        (by("localhost", "sslmode=disable"), Clear),
        // sqlx does not ask for TLS second, as libpq does.
        (by("localhost", "sslmode=allow"), Clear),
        (by("localhost", "sslmode=prefer"), Tls),
        (by("localhost", ""), Tls),
        (plain("sslmode=prefer"), Clear),
        (by("localhost", "sslmode=require"), Tls),
        // Encrypted, and with nobody in particular: libpq would look at the certificate here.
        (by("127.0.0.1", "sslmode=require&sslrootcert=@/stranger.pem"), Tls),
        (by("localhost", "sslmode=verify-ca&sslrootcert=@/authority.pem"), Tls),
        (by("localhost", "sslmode=verify-full&sslrootcert=@/authority.pem"), Tls),
        (by("localhost", "ssl-mode=verify-full&ssl-root-cert=@/authority.pem"), Tls),
        (certified("sslmode=require&sslcert=@/client.pem&sslkey=@/client.key"), Tls),
        (plain("sslmode=require"), Refused),
        (plain("sslmode=verify-full&sslrootcert=@/authority.pem"), Refused),
        (by("localhost", "sslmode=verify-ca&sslrootcert=@/stranger.pem"), Refused),
        (by("localhost", "sslmode=verify-ca"), Refused),
        (by("localhost", "sslmode=verify-full&sslrootcert=@/stranger.pem"), Refused),
        (by("localhost", "sslmode=verify-full&sslrootcert=@/missing.pem"), Refused),
        (by("127.0.0.1", "sslmode=verify-full&sslrootcert=@/authority.pem"), Refused),
        // libpq would leave the name out of account; sqlx does not.
        (by("127.0.0.1", "sslmode=verify-ca&sslrootcert=@/authority.pem"), Refused),
        (certified("sslmode=require"), Refused),
        (certified("sslmode=require&sslcert=@/client.pem"), Refused),
    ];
    let pool = database::pool(&there.server.url(APPLICATION_ROLE), 4).await.expect("the application connects");
    // One after the other where it is asked what the only append connection became; at once where each waits in vain.
    for (number, (url, expected)) in table.iter().enumerate().filter(|(_, (_, expected))| *expected != Refused) {
        assert_eq!(of_the_pool(url).await.0, *expected, "the pool, {url}");
        assert_eq!(of_the_appends(&there.server, pool.clone(), url, number).await, *expected, "appends, {url}");
    }
    let refused = table.iter().enumerate().filter(|(_, (_, expected))| *expected == Refused);
    let (server, pool) = (&there.server, &pool);
    join_all(refused.map(async |(number, (url, expected))| {
        assert_eq!(of_the_pool(url).await.0, *expected, "the pool, {url}");
        assert_eq!(of_the_appends(server, pool.clone(), url, number).await, *expected, "appends, {url}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_a_node_and_its_commands_have_no_connection_in_the_clear() {
    let there = Encrypted::start().await;
    let query = "sslmode=verify-full&sslrootcert=@/authority.pem";
    let [url, owner] = [APPLICATION_ROLE, OWNER_ROLE].map(|role| there.url(role, "localhost", query));
    // The server itself takes nobody in the clear, but for the superuser on its socket.
    let rules = "local all postgres trust\nhostssl all all all trust\nhost all all all reject\nlocal all all reject\n";
    there.server.write(&there.ground, "pg_hba.conf", rules);
    there.server.superuser(DATABASE).await.execute("select pg_reload_conf()").await.expect("the superuser may");
    let home = Home::open().await;
    let environment = [("DATABASE_URL", url.as_str()), ("ATELIER_OWNER_URL", owner.as_str())];
    let mut served = home.serve_with(&["--demo"], &environment);
    served.ready().await;
    let mut superuser = there.server.superuser(DATABASE).await;
    let connections =
        "select application_name, ssl from pg_stat_ssl join pg_stat_activity using (pid) where usename like 'atelier%'";
    let connections: Vec<(String, bool)> = sqlx::query_as(connections).fetch_all(&mut superuser).await.expect("a list");
    assert!(connections.len() > 2 && connections.iter().any(|(name, _)| name == "atelier-append"), "{connections:?}");
    assert!(connections.iter().all(|(_, ssl)| *ssl), "{connections:?}");
    let owned: Vec<(String, String)> = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    for command in [&["doctor"][..], &["migrate"], &["projections", "list"], &["work", "list"]] {
        let ended = home.start(command, &owned).ended().await;
        assert_eq!(ended.code, Some(0), "{command:?}: {} {}", ended.said, ended.logged);
    }
}
