//! Event stores with something in the way: a rival who is always first, a gate in front of reading, a count of what is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use atelier_commands::event_store::{
    Append, AppendError, EventStore, LoadError, Position, Snapshot, SnapshotStore, StoredEvent, StreamId, Submitted,
    UsedKey,
};
use atelier_domain::AccountId;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::log::test_log::until;

/// A store whose every append comes second: somebody else's is written first.
pub struct Second {
    pub inner: Arc<dyn EventStore>,
    /// What the rival does.
    pub rival: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// How often the rival may be first.
    pub chances: AtomicI64,
    /// Whether the rival also comes before every look at what is behind a known event.
    pub before_reads: bool,
}

impl Second {
    fn rival(&self) -> Option<BoxFuture<'static, ()>> {
        (self.chances.fetch_sub(1, Ordering::SeqCst) > 0).then(|| (self.rival)())
    }
}

#[async_trait]
impl EventStore for Second {
    fn submit(&self, append: Append) -> Result<Submitted, AppendError> {
        let (rival, inner) = (self.rival(), self.inner.clone());
        Ok(Box::pin(async move {
            if let Some(rival) = rival {
                rival.await;
            }
            inner.append(append).await
        }))
    }

    async fn page(&self, stream: &StreamId, after_sequence: i64, limit: usize) -> Result<Vec<StoredEvent>, LoadError> {
        if self.before_reads
            && after_sequence > 0
            && let Some(rival) = self.rival()
        {
            rival.await;
        }
        self.inner.page(stream, after_sequence, limit).await
    }

    async fn head(&self) -> Result<Position, LoadError> {
        self.inner.head().await
    }

    async fn find_key(&self, account: AccountId, key: &str) -> Result<Option<UsedKey>, LoadError> {
        self.inner.find_key(account, key).await
    }
}

/// A store that reads streams only while its gate is open, and counts what it reads.
pub struct Gated {
    inner: Arc<dyn EventStore>,
    open: Semaphore,
    arrived: AtomicUsize,
    read: AtomicUsize,
}

impl Gated {
    /// With a closed gate.
    pub fn closed(inner: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self { inner, open: Semaphore::new(0), arrived: AtomicUsize::new(0), read: AtomicUsize::new(0) })
    }

    /// With an open gate.
    pub fn open(inner: Arc<dyn EventStore>) -> Arc<Self> {
        let gated = Self::closed(inner);
        gated.open_it();
        gated
    }

    /// Opens the gate for good.
    pub fn open_it(&self) {
        self.open.add_permits(1_000);
    }

    /// Waits until so many have come to the gate.
    pub async fn until_arrived(&self, number: usize) {
        until("they have come to the gate", async || self.arrived.load(Ordering::SeqCst) == number).await;
    }

    /// How many events were read since the last question.
    pub fn read(&self) -> usize {
        self.read.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl EventStore for Gated {
    fn submit(&self, append: Append) -> Result<Submitted, AppendError> {
        self.inner.submit(append)
    }

    async fn page(&self, stream: &StreamId, after_sequence: i64, limit: usize) -> Result<Vec<StoredEvent>, LoadError> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let _permit = self.open.acquire().await.expect("it is never closed for good");
        let page = self.inner.page(stream, after_sequence, limit).await?;
        self.read.fetch_add(page.len(), Ordering::SeqCst);
        Ok(page)
    }

    async fn head(&self) -> Result<Position, LoadError> {
        self.inner.head().await
    }

    async fn find_key(&self, account: AccountId, key: &str) -> Result<Option<UsedKey>, LoadError> {
        self.inner.find_key(account, key).await
    }
}

/// A place for snapshots that counts what is done with it.
pub struct CountedSnapshots {
    pub inner: Arc<dyn SnapshotStore>,
    pub kept: AtomicUsize,
    pub discarded: AtomicUsize,
}

impl CountedSnapshots {
    /// Over this store.
    pub fn over(inner: Arc<dyn SnapshotStore>) -> Arc<Self> {
        Arc::new(Self { inner, kept: AtomicUsize::new(0), discarded: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl SnapshotStore for CountedSnapshots {
    async fn latest(&self, stream: &StreamId, form: &str) -> Result<Option<Snapshot>, LoadError> {
        self.inner.latest(stream, form).await
    }

    async fn keep(&self, stream: &StreamId, form: &str, snapshot: &Snapshot) -> Result<(), LoadError> {
        self.inner.keep(stream, form, snapshot).await?;
        self.kept.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn discard(&self, stream: &StreamId) -> Result<(), LoadError> {
        self.discarded.fetch_add(1, Ordering::SeqCst);
        self.inner.discard(stream).await
    }
}
