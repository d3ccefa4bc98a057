//! Locks that a use case holds over several statements: each keeps a connection of the pool, and what is done under it needs others.
//!
//! So a node holds one of each kind at a time, and the others wait for their turn without a connection: were they to wait with one, as many
//! callers as the pool has connections would wait for each other until all of them give up, and every other request with them. A caller
//! that holds several takes them in the order of the fields; against that order a lock is only tried (`address_claims::end_if_free`).

use std::sync::Arc;

use atelier_vault::credential_rows::RowError;
use sqlx::{Postgres, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::command_path::CommandError;
use crate::refusal::UseCaseError;

/// One node's turns. Cheap to clone; clones are the same turns.
#[derive(Debug, Clone)]
pub struct HeldLocks(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    /// To take the role of an admin away.
    admins: Semaphore,
    /// To change an account's address.
    accounts: Semaphore,
    /// To prove an address, or to give it away.
    addresses: Semaphore,
}

impl Default for HeldLocks {
    fn default() -> Self {
        let one = || Semaphore::new(1);
        Self(Arc::new(Turns { admins: one(), accounts: one(), addresses: one() }))
    }
}

impl HeldLocks {
    pub(crate) fn admins(&self) -> &Semaphore {
        &self.0.admins
    }

    pub(crate) fn accounts(&self) -> &Semaphore {
        &self.0.accounts
    }

    pub(crate) fn addresses(&self) -> &Semaphore {
        &self.0.addresses
    }
}

/// A lock, held on any number of nodes until it is given back; it ends with its transaction, also when the process dies.
pub(crate) struct HeldLock<'a> {
    lock: Transaction<'static, Postgres>,
    _turn: SemaphorePermit<'a>,
}

impl<'a> HeldLock<'a> {
    /// Waits for this node's turn, then for the lock.
    ///
    /// # Errors
    /// When the database failed.
    pub(crate) async fn take(
        turns: &'a Semaphore,
        lock: impl Future<Output = Result<Transaction<'static, Postgres>, RowError>>,
    ) -> Result<Self, UseCaseError> {
        let turn = turns.acquire().await.map_err(|error| CommandError::Internal(error.to_string()))?;
        Ok(Self { lock: lock.await?, _turn: turn })
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When the database failed; it is free all the same.
    pub(crate) async fn give_back(self) -> Result<(), UseCaseError> {
        Ok(self.lock.rollback().await.map_err(RowError::from)?)
    }
}
