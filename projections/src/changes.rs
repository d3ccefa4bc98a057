//! Who waits for which rows to change, and is woken once this node knows that a read model has folded what changed them (DESIGN 6).
//!
//! What it costs: for each advance of a followed read model a walk over the new events, which the feed holds in memory, with a look-up in
//! a map for each, and nothing while nobody waits. Only whoever waits for one of those rows then reads, `READS` at once on a node.
//! Nothing is asked of the database for the sake of those whose rows stay as they are.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_domain::{AccountId, GenerationId, LedgerId, LogEvent};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::models::{creations, credit_balance};
use crate::runner::Runner;

/// The most subscribers that read at the same time on a node, so that a wave of them leaves connections for others.
const READS: usize = 8;
/// Events looked at in one go.
const WALK: usize = 1_000;
/// Further behind than this, all are woken instead of looking at each event.
const FAR: i64 = 4_000;

/// Rows that somebody may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A ledger's balance.
    Balance(LedgerId),
    /// A generation.
    Generation(GenerationId),
    /// An account's notices; no read model, so whoever hears of a new one calls [`Changes::wake`].
    Notices(AccountId),
}

/// Who waits for what on this node.
#[derive(Debug)]
pub struct Changes {
    waiting: Mutex<HashMap<Topic, Vec<Arc<Notify>>>>,
    reads: Semaphore,
}

impl Default for Changes {
    fn default() -> Self {
        Self { waiting: Mutex::default(), reads: Semaphore::new(READS) }
    }
}

/// Somebody who waits for rows to change, until dropped.
#[derive(Debug)]
pub struct Interest {
    changes: Arc<Changes>,
    topic: Topic,
    wake: Arc<Notify>,
}

impl Interest {
    /// Resolves once the rows may have changed since this was last called; changes that come together are one.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut waiting = self.changes.waiting();
        if let Some(those) = waiting.get_mut(&self.topic) {
            those.retain(|wake| !Arc::ptr_eq(wake, &self.wake));
            if those.is_empty() {
                waiting.remove(&self.topic);
            }
        }
    }
}

/// A read model that is followed: which rows of it an event changes, and how far its events were looked at.
struct Track {
    model: &'static str,
    topic: fn(&LogEvent) -> Option<Topic>,
    /// None before the first look.
    seen: Option<i64>,
}

impl Changes {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Topic, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for rows from now on. Whoever reads them after this call misses no change: it is in what they read, or wakes them.
    #[must_use]
    pub fn of(self: &Arc<Self>, topic: Topic) -> Interest {
        let wake = Arc::new(Notify::new());
        self.waiting().entry(topic).or_default().push(wake.clone());
        Interest { changes: self.clone(), topic, wake }
    }

    /// A turn to read.
    ///
    /// # Panics
    /// Never: the turns are not closed.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        self.reads.acquire().await.expect("nobody closes the turns")
    }

    /// Wakes those who wait for these rows.
    pub fn wake(&self, topic: Topic) {
        if let Some(those) = self.waiting().get(&topic) {
            those.iter().for_each(|wake| wake.notify_one());
        }
    }

    /// The accounts whose notices somebody waits for.
    #[must_use]
    pub fn accounts_of_notices(&self) -> Vec<AccountId> {
        let account = |topic: &Topic| match topic {
            Topic::Notices(account) => Some(*account),
            Topic::Balance(_) | Topic::Generation(_) => None,
        };
        self.waiting().keys().filter_map(account).collect()
    }

    /// Wakes as this node's read models advance, until stopped. It is not seen by them as a reader who waits: they let batches grow.
    pub async fn follow(&self, runner: &Runner, stop: &CancellationToken) {
        let (mut advanced, mut head, mut eras) = (runner.advanced(), runner.feed.head(), runner.feed.log().eras());
        let mut tracks = [
            Track { model: credit_balance::NAME, topic: balance, seen: None },
            Track { model: creations::NAME, topic: generation, seen: None },
        ];
        while !stop.is_cancelled() {
            advanced.mark_unchanged();
            head.mark_unchanged();
            if eras.has_changed().unwrap_or(false) {
                // What was seen may be gone, and what is there may be less.
                eras.mark_unchanged();
                tracks.iter_mut().for_each(|track| track.seen = None);
                self.wake_all();
            }
            for track in &mut tracks {
                self.look(track, runner).await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = advanced.changed() => {}
                // A model that another node holds may be further than what this node knows of the log.
                _ = head.changed() => {}
                _ = eras.changed() => eras.mark_changed(),
            }
        }
    }

    /// Looks at the events that a model has folded since the last look.
    async fn look(&self, track: &mut Track, runner: &Runner) {
        let Some(reached) = runner.reached(track.model) else { return };
        let Some(seen) = track.seen.filter(|seen| reached - seen <= FAR) else {
            track.seen = Some(reached);
            return self.wake_all();
        };
        let mut seen = seen;
        while seen < reached {
            // Those who come from now on read what is reached already.
            if self.waiting().is_empty() {
                seen = reached;
                break;
            }
            let batch = match runner.feed.after(seen, WALK).await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(%error, "what changed cannot be read; everybody looks");
                    seen = reached;
                    self.wake_all();
                    break;
                }
            };
            let events: Vec<_> = batch.events.iter().take_while(|event| event.position <= reached).collect();
            let topics: HashSet<Topic> = events.iter().filter_map(|event| (track.topic)(&event.event)).collect();
            topics.into_iter().for_each(|topic| self.wake(topic));
            // A newer release may have folded what this one cannot decode, for anybody.
            if batch.undecodable.iter().any(|event| event.position <= reached) {
                self.wake_all();
            }
            match batch.last() {
                Some(last) => seen = last.min(reached),
                // Not known here yet; the head wakes us.
                None => break,
            }
        }
        track.seen = Some(seen.max(track.seen.unwrap_or(seen)));
    }

    fn wake_all(&self) {
        self.waiting().values().flatten().for_each(|wake| wake.notify_one());
    }
}

fn balance(event: &LogEvent) -> Option<Topic> {
    match event {
        LogEvent::CreditLedger(ledger, _) => Some(Topic::Balance(*ledger)),
        LogEvent::Account(..) | LogEvent::Generation(..) => None,
    }
}

fn generation(event: &LogEvent) -> Option<Topic> {
    match event {
        LogEvent::Generation(generation, _) => Some(Topic::Generation(*generation)),
        LogEvent::CreditLedger(_, event) => {
            creations::settled(event).map(|(generation, _)| Topic::Generation(generation))
        }
        LogEvent::Account(..) => None,
    }
}
