//! Account keys in memory: at most so many, never older than a minute, dropped at once when told (DESIGN 7).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::AccountId;
use tokio::time::Instant;

use crate::AccountKeys;

/// The longest a node may use a key after another node shredded it.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(60);

struct Entry {
    keys: Arc<AccountKeys>,
    loaded_at: Instant,
}

/// Two generations: when the young one is full it becomes the old one, and what was not used since is dropped.
#[derive(Default)]
struct Generations {
    young: HashMap<AccountId, Entry>,
    old: HashMap<AccountId, Entry>,
    forgotten: u64,
}

pub(crate) struct KeyCache {
    generations: Mutex<Generations>,
    half: usize,
}

/// Taken before a load: whether anything was forgotten since decides if what was loaded may still be kept.
#[derive(Clone, Copy)]
pub(crate) struct LoadTicket {
    forgotten: u64,
    loaded_at: Instant,
}

impl KeyCache {
    /// A cache of at most `capacity` accounts.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { generations: Mutex::default(), half: (capacity / 2).max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, account: AccountId, now: Instant) -> Option<Arc<AccountKeys>> {
        let mut generations = self.lock();
        let fresh = |entry: &Entry| now.saturating_duration_since(entry.loaded_at) <= MAX_AGE;
        if let Some(entry) = generations.young.get(&account) {
            return fresh(entry).then(|| Arc::clone(&entry.keys));
        }
        let entry = generations.old.remove(&account).filter(fresh)?;
        let keys = Arc::clone(&entry.keys);
        generations.keep(account, entry, self.half);
        Some(keys)
    }

    pub(crate) fn ticket(&self, now: Instant) -> LoadTicket {
        LoadTicket { forgotten: self.lock().forgotten, loaded_at: now }
    }

    /// Keeps loaded keys, unless any account was forgotten while they were being loaded: it may have been this one.
    pub(crate) fn insert(&self, account: AccountId, keys: Arc<AccountKeys>, ticket: LoadTicket) {
        let mut generations = self.lock();
        if generations.forgotten == ticket.forgotten {
            generations.keep(account, Entry { keys, loaded_at: ticket.loaded_at }, self.half);
        }
    }

    pub(crate) fn forget(&self, account: AccountId) {
        let mut generations = self.lock();
        generations.forgotten += 1;
        generations.young.remove(&account);
        generations.old.remove(&account);
    }
}

impl Generations {
    fn keep(&mut self, account: AccountId, entry: Entry, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&account) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(account, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountKey;
    use crate::testing::account;

    fn keys() -> Arc<AccountKeys> {
        Arc::new(AccountKeys { profile: AccountKey::Shredded, billing: AccountKey::Shredded })
    }

    #[test]
    fn a_key_is_used_for_sixty_seconds_and_no_longer() {
        let cache = KeyCache::new(10);
        let start = Instant::now();
        cache.insert(account(1), keys(), cache.ticket(start));
        assert!(cache.get(account(1), start + MAX_AGE).is_some());
        assert!(cache.get(account(1), start + MAX_AGE + Duration::from_millis(1)).is_none());
    }

    #[test]
    fn use_does_not_make_a_key_younger() {
        let cache = KeyCache::new(2);
        let start = Instant::now();
        cache.insert(account(1), keys(), cache.ticket(start));
        cache.insert(account(2), keys(), cache.ticket(start));
        assert!(cache.get(account(1), start + MAX_AGE / 2).is_some());
        assert!(cache.get(account(1), start + MAX_AGE * 2).is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_in_use() {
        let cache = KeyCache::new(10);
        let now = Instant::now();
        for number in 0..1_000 {
            cache.insert(account(number), keys(), cache.ticket(now));
            assert!(cache.get(account(0), now).is_some(), "account 0 is used all the time");
        }
        let generations = cache.lock();
        assert!(generations.young.len() + generations.old.len() <= 10);
    }

    #[test]
    fn a_load_that_began_before_a_forget_is_not_kept() {
        let cache = KeyCache::new(10);
        let now = Instant::now();
        let ticket = cache.ticket(now);
        cache.forget(account(1));
        cache.insert(account(1), keys(), ticket);
        assert!(cache.get(account(1), now).is_none());
    }
}
