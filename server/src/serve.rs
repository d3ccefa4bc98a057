//! `atelier serve`: from configuration to a running node, and back down in order.

use std::error::Error;

use sqlx::PgPool;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, ServeConfig};
use crate::database::Database;
use crate::demo;
use crate::http::client;
use crate::node::{Node, NodeOptions};
use crate::open_sockets::SocketLimits;
use crate::write_timeout::WRITE_TIMEOUT;

/// Runs a node until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting, in one sentence.
pub async fn serve(config: &Config, serve: &ServeConfig) -> Result<(), Box<dyn Error>> {
    if serve.demo && config.smtp_url.is_some() {
        return Err(
            "the people of the demo studio read their mails in the mailbox: leave out --demo, or ATELIER_SMTP_URL"
                .into(),
        );
    }
    // Listened for before anything starts, so that a stop during the start is not lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    std::fs::create_dir_all(&config.data)?;
    let database = Database::open(config).await?;
    let run = async {
        database.migrate().await?;
        let pool = database.pool(config.pool).await?;
        let ran = node(config, serve, &database, &pool, &mut interrupt, &mut terminate).await;
        // Nobody is left who would use it; a private PostgreSQL that stops under an open pool makes it complain.
        pool.close().await;
        ran
    };
    let ran = run.await;
    database.stop().await?;
    ran
}

async fn node(
    config: &Config,
    serve: &ServeConfig,
    database: &Database,
    pool: &PgPool,
    interrupt: &mut Signal,
    terminate: &mut Signal,
) -> Result<(), Box<dyn Error>> {
    database.take_over_work(pool).await?;
    let node = Node::start(NodeOptions {
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
        write_timeout: WRITE_TIMEOUT,
        generator: None,
    })
    .await?;
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
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    tracing::info!("stopping");
    if !node.stop().await {
        tracing::warn!("some work did not end in time; it goes on at the next start");
    }
    ended
}
