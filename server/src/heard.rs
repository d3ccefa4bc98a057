//! Hears what other nodes tell by NOTIFY: whose keys are gone, which session is over, who has a new notice. Each word is acted on at once
//! and none is relied on: what is missed while the connection is down is looked for when it is up again, and now and then anyway.

use std::time::Duration;

use atelier_commands::erasure::SHREDDED_CHANNEL;
use atelier_commands::notices::POSTED_CHANNEL;
use atelier_commands::process::RETRIED_CHANNEL;
use atelier_domain::SessionId;
use atelier_projections::{Changes, Topic};
use atelier_vault::Vault;
use atelier_vault::credential_rows::sessions::ENDED_CHANNEL;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::open_sockets::OpenSockets;

/// Between two tries to listen.
const REST: Duration = Duration::from_secs(1);

/// Who acts on what is heard.
pub struct Ears<'a> {
    /// Keys whose account is gone leave its memory; without a word, within a minute (DESIGN 7).
    pub vault: &'a Vault,
    /// Sockets whose session is over are closed; without a word, at the next look or before the next event, whichever is first.
    pub sockets: &'a OpenSockets,
    /// Subscribers look for new notices; without a word, at the next look.
    pub changes: &'a Changes,
    /// The dispatcher looks for work that an operator put back; without a word, at its next look.
    pub wake: &'a Notify,
}

impl Ears<'_> {
    /// Listens until stopped.
    pub async fn listen(&self, pool: &PgPool, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.hear(pool, stop).await {
                tracing::warn!(%error, "what other nodes tell cannot be heard");
                tokio::select! {
                    () = tokio::time::sleep(REST) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    async fn hear(&self, pool: &PgPool, stop: &CancellationToken) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen_all([SHREDDED_CHANNEL, ENDED_CHANNEL, POSTED_CHANNEL, RETRIED_CHANNEL]).await?;
        // What was told before this moment was not heard.
        self.sockets.ask_for_a_look();
        loop {
            let notification = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                notification = listener.try_recv() => notification?,
            };
            // The connection was lost; the next one begins with a look.
            let Some(notification) = notification else { return Ok(()) };
            self.act(notification.channel(), notification.payload());
        }
    }

    fn act(&self, channel: &str, payload: &str) {
        match channel {
            SHREDDED_CHANNEL => {
                if let Ok(account) = payload.parse() {
                    self.vault.forget(account);
                }
            }
            ENDED_CHANNEL => {
                if let Ok(session) = payload.parse() {
                    self.sockets.end(SessionId(session));
                }
            }
            POSTED_CHANNEL => {
                if let Ok(account) = payload.parse() {
                    self.changes.wake(Topic::Notices(account));
                }
            }
            RETRIED_CHANNEL => self.wake.notify_waiters(),
            _ => {}
        }
    }
}
