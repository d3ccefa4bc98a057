//! How the append connection finds the database: the URL read as the pool's driver reads it, so that one `DATABASE_URL`, and one set of
//! `PG*` variables, means the same to both.

mod tls;

use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Connection, Error, Socket};

use tls::{Encrypted, Trust};

/// What only this connection's driver knows of a URL; sqlx leaves these out of account.
const OWN_PARAMETERS: [&str; 8] = [
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "load_balance_hosts",
];

/// Why a database URL cannot be used. Neither says the password: the drivers name the part that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is no URL of one PostgreSQL server.
    #[error(transparent)]
    Url(#[from] sqlx::Error),
    /// A parameter of the append connection is wrong.
    #[error(transparent)]
    Parameter(#[from] Error),
}

/// Where the database is, and what is asked of its certificate.
#[derive(Clone)]
pub(super) struct Link {
    config: Config,
    tls: Trust,
}

impl Link {
    /// Reads a URL.
    pub(super) fn of(url: &str) -> Result<Self, LinkError> {
        let options = PgConnectOptions::from_str(url)?;
        let mut config = Config::from_str(&own_parameters(url))?;
        match options.get_socket() {
            Some(folder) => config.host_path(folder),
            None => config.host(options.get_host()),
        };
        config.port(options.get_port()).user(options.get_username());
        options.get_database().map(|database| config.dbname(database));
        options.get_options().map(|settings| config.options(settings));
        // sqlx takes `allow` as `disable`: it never asks for TLS second.
        config.ssl_mode(match options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow => SslMode::Disable,
            PgSslMode::Prefer => SslMode::Prefer,
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => SslMode::Require,
        });
        // What sqlx has no getters for stands in the URL it writes. The names are put aside: not every one of them fits into it.
        let written = options.clone().host("host").username("user").database("database").to_url_lossy();
        if let Some(password) = written.password() {
            config.password(percent_encoding::percent_decode_str(password).collect::<Vec<u8>>());
        }
        let file = |name: &str| {
            let (_, value) = written.query_pairs().find(|(key, _)| key == name)?;
            // A path is written with this word before it, PEM text without.
            Some(value.strip_prefix("file: ").unwrap_or(&value).to_owned())
        };
        let tls = Trust {
            certificate: matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull),
            roots: file("sslrootcert"),
            client: (file("sslcert"), file("sslkey")),
        };
        Ok(Self { config, tls })
    }

    /// Connects. Certificates are read from their files each time, so that renewed ones need no restart.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Encrypted<Socket>>), Error> {
        self.config.connect(self.tls.clone()).await
    }
}

/// The parameters of a URL that are this driver's own, as the words it reads.
fn own_parameters(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let own = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| OWN_PARAMETERS.contains(&key.as_ref()));
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    own.map(|(key, value)| format!("{key}='{}' ", quoted(&value))).collect()
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::{Host, TargetSessionAttrs};

    use super::*;

    #[test]
    fn a_url_is_read_as_the_pool_reads_it() {
        let text = "postgres://a%2Fb:s%40%2C%27%5C%20e@db.example:6543/x%2Fy?sslmode=verify-ca&ssl-root-cert=/a%20b.pem&sslkey=/k\
                    &options=-c%20work_mem%3D1MB&statement-cache-capacity=7&connect_timeout=3&target_session_attrs=read-write";
        let Link { config, tls } = Link::of(text).expect("a good URL");
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".to_owned())]);
        assert_eq!(
            (config.get_ports(), config.get_user(), config.get_dbname()),
            (&[6543][..], Some("a/b"), Some("x/y"))
        );
        assert_eq!(config.get_password(), Some(&b"s@,'\\ e"[..]));
        assert_eq!(config.get_options(), Some("-c work_mem=1MB"));
        assert_eq!(config.get_connect_timeout(), Some(&std::time::Duration::from_secs(3)));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!((config.get_ssl_mode(), tls.certificate), (SslMode::Require, true));
        assert_eq!((tls.roots.as_deref(), tls.client), (Some("/a b.pem"), (None, Some("/k".to_owned()))));
    }

    #[test]
    fn a_socket_is_found_and_what_is_wrong_is_refused() {
        for text in ["postgres://u@%2Ftmp%2Fs:5433/d", "postgres:///d?user=u&host=/tmp/s&port=5433"] {
            let Link { config, .. } = Link::of(text).expect("a good URL");
            assert_eq!((config.get_hosts(), config.get_ports()), (&[Host::Unix("/tmp/s".into())][..], &[5433][..]));
        }
        for text in ["nothing", "postgres://u@h/d?sslmode=sometimes", "postgres://u@h/d?target_session_attrs=best"] {
            assert!(Link::of(text).is_err(), "{text}");
        }
    }
}
