//! The roles and databases of the private server, and how it is connected to.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, NoTls, Socket};

use super::EmbeddedError;
use super::cluster::{Postmaster, SUPERUSER};

/// Owns the database and migrates it (DESIGN 3.5).
pub const OWNER_ROLE: &str = "atelier_owner";
/// What the application works as: it may not change the log's past (DESIGN 3.5).
pub const APPLICATION_ROLE: &str = "atelier_app";
/// The database `atelier serve` works in.
pub const DATABASE: &str = "atelier";

/// A server that is up answers at once; one that hangs shall not hang us.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Longest identifier PostgreSQL keeps, in bytes.
const NAME_LIMIT: usize = 63;

/// A URL that sqlx and tokio-postgres both read: the socket's folder is the host, percent-encoded.
pub(super) fn url(postmaster: &Postmaster, user: &str, database: &str) -> String {
    let host = encode(&postmaster.socket.to_string_lossy());
    format!("postgres://{}@{host}:{}/{}?sslmode=disable", encode(user), postmaster.port, encode(database))
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Connects as the superuser.
pub(super) async fn connect(postmaster: &Postmaster) -> Result<Client, EmbeddedError> {
    let (client, connection) = open(postmaster).await?;
    // Ends with the client. Its error is the client's next one.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// Waits until a connection of the superuser is closed by the server; at once when there can be none.
pub(super) async fn closed(postmaster: &Postmaster) {
    if let Ok((_client, connection)) = open(postmaster).await {
        connection.await.ok();
    }
}

async fn open(postmaster: &Postmaster) -> Result<(Client, Connection<Socket, NoTlsStream>), EmbeddedError> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(&postmaster.socket).port(postmaster.port).user(SUPERUSER).dbname("postgres");
    match tokio::time::timeout(CONNECT_LIMIT, config.connect(NoTls)).await {
        Ok(connected) => connected.map_err(EmbeddedError::sql("connect")),
        Err(_) => Err(EmbeddedError::Timeout { program: "connection".to_owned(), seconds: CONNECT_LIMIT.as_secs() }),
    }
}

/// Refuses a server that serves other data than ours.
pub(super) async fn check_data_directory(client: &Client, data: &Path) -> Result<(), EmbeddedError> {
    let row =
        client.query_one("SHOW data_directory", &[]).await.map_err(EmbeddedError::sql("read the data directory"))?;
    let said: String = row.try_get(0).map_err(EmbeddedError::sql("read the data directory"))?;
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let actual = resolved(Path::new(&said));
    if actual == resolved(data) {
        Ok(())
    } else {
        Err(EmbeddedError::OtherServer { expected: data.to_owned(), actual })
    }
}

/// The two roles and the database of the program; what exists already is left as it is.
pub(super) async fn ensure_basics(client: &Client) -> Result<(), EmbeddedError> {
    for role in [OWNER_ROLE, APPLICATION_ROLE] {
        let known = client.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role]).await;
        if known.map_err(EmbeddedError::sql("look for a role"))?.is_none() {
            let statement = format!("CREATE ROLE {role} LOGIN");
            client.batch_execute(&statement).await.map_err(EmbeddedError::sql("create a role"))?;
        }
    }
    ensure(client, DATABASE).await
}

/// The database with this name, made if it is not there, owned by the owner role.
pub(super) async fn ensure(client: &Client, name: &str) -> Result<(), EmbeddedError> {
    check_name(name)?;
    if exists(client, name).await? {
        return Ok(());
    }
    let made = client.batch_execute(&format!("CREATE DATABASE \"{name}\" OWNER {OWNER_ROLE}")).await;
    match made {
        // Another connection may have been faster.
        Err(_) if exists(client, name).await? => Ok(()),
        other => other.map_err(EmbeddedError::sql("create a database")),
    }
}

/// A new database with everything the template holds.
pub(super) async fn copy(client: &Client, name: &str, template: &str) -> Result<(), EmbeddedError> {
    check_name(name)?;
    check_name(template)?;
    let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\" OWNER {OWNER_ROLE}");
    client.batch_execute(&statement).await.map_err(EmbeddedError::sql("copy a database"))
}

async fn exists(client: &Client, name: &str) -> Result<bool, EmbeddedError> {
    let row = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await;
    Ok(row.map_err(EmbeddedError::sql("look for a database"))?.is_some())
}

fn check_name(name: &str) -> Result<(), EmbeddedError> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && (1..=NAME_LIMIT).contains(&name.len()) {
        Ok(())
    } else {
        Err(EmbeddedError::UnusableName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::str::FromStr;

    use tokio_postgres::config::Host;

    use super::*;

    #[test]
    fn d8_the_url_means_the_same_to_both_clients() {
        let postmaster = Postmaster { pid: 1, port: 54329, socket: PathBuf::from("/tmp/a b%c") };
        let url = url(&postmaster, "atelier_app", "t_1");
        let one = sqlx::postgres::PgConnectOptions::from_str(&url).unwrap();
        let other = tokio_postgres::Config::from_str(&url).unwrap();
        assert_eq!(one.get_socket(), Some(&postmaster.socket));
        assert_eq!(other.get_hosts(), [Host::Unix(postmaster.socket.clone())]);
        assert_eq!((one.get_port(), other.get_ports()), (54329, [54329].as_slice()));
        assert_eq!((one.get_username(), other.get_user()), ("atelier_app", Some("atelier_app")));
        assert_eq!((one.get_database(), other.get_dbname()), (Some("t_1"), Some("t_1")));
    }

    #[test]
    fn d8_only_plain_names_become_databases() {
        for bad in ["", "A", "a-b", "a\"b", "a b", "ü", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("t_0123").is_ok());
    }
}
