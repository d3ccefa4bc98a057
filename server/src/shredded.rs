//! Hears whose keys are gone, and drops them from this node's memory at once, instead of within a minute (DESIGN 7).

use std::time::Duration;

use atelier_commands::erasure::SHREDDED_CHANNEL;
use atelier_vault::Vault;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

/// Listens until stopped. What is missed while the connection is down ends by itself: no key is kept longer than a minute.
pub async fn listen(vault: &Vault, pool: &PgPool, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = hear(vault, pool, stop).await {
            tracing::warn!(%error, "the word of erased accounts cannot be heard");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

async fn hear(vault: &Vault, pool: &PgPool, stop: &CancellationToken) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(SHREDDED_CHANNEL).await?;
    loop {
        let notification = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            notification = listener.recv() => notification?,
        };
        if let Ok(account) = notification.payload().parse() {
            vault.forget(account);
        }
    }
}
