//! `atelier serve`: from configuration to a running node, and back down in order.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::config::{Config, ServeConfig};
use crate::connections::{ConnectionLimits, raise_descriptor_limit};
use crate::database::{Database, DatabaseError};
use crate::demo;
use crate::embedded_postgres::EmbeddedPostgres;
use crate::http::client;
use crate::node::{Node, NodeOptions};
use crate::open_sockets::SocketLimits;
use crate::stop_signal::{self, Stop};

/// How long a PostgreSQL that is being started may go on with it after a signal, so that it can be stopped in order.
const OPENING: Duration = Duration::from_secs(15);
/// How long the pool's connections may take to close.
const CLOSING: Duration = Duration::from_secs(1);

/// Runs a node until it is told to stop. From a signal to the end it takes at most [`stop_signal::LIMIT`], in every state: each part of
/// the stop has its own limit, and what does not end in it goes on at the next start, as after a kill.
///
/// # Errors
/// Whatever keeps it from starting, or ends it, in one sentence.
pub async fn serve(config: &Config, serve: &ServeConfig) -> Result<(), Box<dyn Error>> {
    if serve.demo && config.smtp_url.is_some() {
        return Err(
            "the people of the demo studio read their mails in the mailbox: leave out --demo, or ATELIER_SMTP_URL"
                .into(),
        );
    }
    // Listened for before anything starts, so that a stop during the start is not lost.
    let stop = stop_signal::listen()?;
    raise_descriptor_limit();
    warn_of(serve.public_url.as_deref());
    std::fs::create_dir_all(&config.data)
        .map_err(|error| format!("the data folder {} cannot be made: {error}", config.data.display()))?;
    let Some(database) = open(config, &stop).await? else { return Ok(()) };
    let ran = tokio::select! {
        ran = run(config, serve, &database, stop.token()) => ran,
        Err(lost) = database.keep_running(stop.token()) => Err(lost.into()),
    };
    let stopped = timeout(stop.left(), database.stop_in(stop.left())).await;
    ran?;
    match stopped {
        Ok(stopped) => Ok(stopped?),
        Err(_) => {
            tracing::warn!("PostgreSQL is still stopping; it goes on by itself");
            Ok(())
        }
    }
}

/// The database; none when the signal came first, and then nothing is left running.
async fn open(config: &Config, stop: &Stop) -> Result<Option<Database>, DatabaseError> {
    let mut opening = std::pin::pin!(Database::open(config));
    tokio::select! {
        opened = &mut opening => return opened.map(Some),
        () = stop.token().cancelled() => tracing::info!("stopping"),
    }
    match timeout(OPENING, opening).await {
        Ok(Ok(database)) => {
            if timeout(stop.left(), database.stop_in(stop.left())).await.is_err() {
                tracing::warn!("PostgreSQL is still stopping; it goes on by itself");
            }
        }
        Ok(Err(error)) => return Err(error),
        Err(_) => tracing::warn!("PostgreSQL is still starting; the next start of atelier takes it over"),
    }
    Ok(None)
}

async fn run(
    config: &Config,
    serve: &ServeConfig,
    database: &Database,
    stop: &CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let opened = async {
        database.prepare().await?;
        database.pool(config.pool).await
    };
    // Cut off, a migration is undone by PostgreSQL.
    let pool = tokio::select! {
        opened = opened => opened?,
        () = stop.cancelled() => return Ok(()),
    };
    let ran = node(config, serve, database, &pool, stop).await;
    // Nobody is left who would use it; a private PostgreSQL that stops under an open pool makes it complain.
    let _ = timeout(CLOSING, pool.close()).await;
    ran
}

async fn node(
    config: &Config,
    serve: &ServeConfig,
    database: &Database,
    pool: &PgPool,
    stop: &CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let starting = async {
        database.take_over_work(pool).await?;
        let options = NodeOptions {
            database_url: &database.url,
            pool: pool.clone(),
            data: &config.data,
            listen: serve.listen,
            public_url: serve.public_url.clone().map(|url| url.trim_end_matches('/').to_owned()),
            development: serve.development(),
            access: serve.access.clone(),
            smtp: config.smtp()?,
            api: serve.api.policy(),
            sockets: SocketLimits::default(),
            connections: ConnectionLimits::of_machine(config.pool, serve.connections),
            generator: None,
            clock: None,
            operations: operations(serve).await?,
            disks: disks(config),
            disk_reserve: config.disk_reserve(),
        };
        Ok::<_, Box<dyn Error>>(Node::start(options).await?)
    };
    let node = tokio::select! {
        started = starting => started?,
        () = stop.cancelled() => return Ok(()),
    };
    tracing::info!(address = %node.address, "listening");
    tracing::info!("{}", client::believed(&serve.access.trusted_proxies));
    let ready = async {
        if serve.demo {
            demo::ready(&node, &config.data).await?;
        }
        std::future::pending::<Result<(), Box<dyn Error>>>().await
    };
    let ended = tokio::select! {
        ended = ready => ended,
        () = stop.cancelled() => Ok(()),
    };
    tracing::info!("stopping");
    if !node.stop().await {
        tracing::warn!("some work did not end in time; it goes on at the next start");
    }
    ended
}

/// Where operators look when nobody says otherwise: on this machine alone, by the port that exporters of metrics have.
const OPERATIONS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// The operators' listener: where the configuration says, or by default in production. Another node of this machine may have the default
/// one; then this node serves without.
async fn operations(serve: &ServeConfig) -> Result<Option<TcpListener>, String> {
    if serve.operations_listen.is_none() && serve.development() {
        return Ok(None);
    }
    let address = serve.operations_listen.unwrap_or(OPERATIONS);
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(address);
            tracing::info!(%address, "metrics and readiness");
            Ok(Some(listener))
        }
        Err(error) if serve.operations_listen.is_some() => {
            Err(format!("cannot listen on {address}: {error}; choose another address with --operations-listen"))
        }
        Err(error) => {
            tracing::warn!(address = %OPERATIONS, %error, "no metrics are served; ATELIER_OPERATIONS_LISTEN names another address");
            Ok(None)
        }
    }
}

/// The folders that a node writes to.
fn disks(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let mut disks = vec![("data", config.data.clone()), ("media", config.data.join("media"))];
    if config.database_url.is_none()
        && let Ok(base) = EmbeddedPostgres::base(&config.data.join("postgres"))
    {
        disks.push(("postgres", base));
    }
    disks
}

/// Says what is unsafe about the address that clients have.
fn warn_of(public_url: Option<&str>) {
    let Some(url) = public_url.and_then(|url| Url::parse(url).ok()).filter(|url| url.scheme() == "http") else {
        return;
    };
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost") || !name.contains('.'),
        None => true,
    };
    if !local {
        tracing::warn!(
            "the public URL is http on a public name: passwords, cookies and keys travel in the clear; put TLS in front and name https"
        );
    }
}
