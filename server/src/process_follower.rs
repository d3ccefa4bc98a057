//! Hangs a process manager of the write side on the runner of the read side: same feed, same checkpoints (DESIGN 1, 4).

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_commands::process::{ProcessManager, forget, react};
use atelier_domain::{AccountId, Envelope};
use atelier_projections::Projection;
use sqlx::PgConnection;
use tokio::sync::Notify;

/// A process manager as a follower of the log.
pub struct ProcessFollower<M> {
    wake: Arc<Notify>,
    manager: PhantomData<fn() -> M>,
}

impl<M: ProcessManager> ProcessFollower<M> {
    /// Follows the log for a process manager; `wake` tells the dispatcher that work may have arrived.
    #[must_use]
    pub fn follow(wake: Arc<Notify>) -> Arc<dyn Projection> {
        Arc::new(Self { wake, manager: PhantomData })
    }
}

#[async_trait]
impl<M: ProcessManager> Projection for ProcessFollower<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn version(&self) -> i32 {
        1
    }

    /// None: a rebuild would ask for the same work again (DESIGN 4).
    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    fn durable(&self) -> bool {
        true
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        react::<M>(connection, events).await
    }

    /// What it remembers of the account's instances: their states hold its id, or are named by it.
    async fn forget(&self, connection: &mut PgConnection, account: AccountId) -> Result<(), sqlx::Error> {
        forget::<M>(connection, account).await
    }

    fn committed(&self) {
        // All of the dispatcher's loops wait.
        self.wake.notify_waiters();
    }
}
