//! How often something came within a short while, on this node: bounded memory, no database (U34, sec.R5).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most keys or addresses remembered. When so many come within one window, all counts begin anew: a flood from that many sides
/// is not stopped here, and memory does not grow with it.
const MOST: usize = 10_000;

/// Fixed windows, each from the first time something came.
pub struct Windows<K> {
    length: Duration,
    counts: Mutex<HashMap<K, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    ends: Instant,
    count: u32,
}

/// Where a count stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How often it came.
    pub count: u32,
    /// How long until the count begins anew.
    pub left: Duration,
}

impl<K: Hash + Eq> Windows<K> {
    /// Windows of this length.
    pub fn new(length: Duration) -> Self {
        Self { length, counts: Mutex::default() }
    }

    /// Counts one more.
    pub fn count(&self, key: K, now: Instant) -> Standing {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(&key) {
            counts.retain(|_, window| window.ends > now);
            if counts.len() >= MOST {
                counts.clear();
            }
        }
        let fresh = Window { ends: now + self.length, count: 0 };
        let window = counts.entry(key).or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        window.count = window.count.saturating_add(1);
        Standing { count: window.count, left: window.ends - now }
    }

    /// Where it stands, without counting.
    pub fn standing(&self, key: &K, now: Instant) -> Standing {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get(key) {
            Some(window) if window.ends > now => Standing { count: window.count, left: window.ends - now },
            Some(_) | None => Standing { count: 0, left: Duration::ZERO },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u34_a_count_begins_anew_when_its_window_is_over_and_each_key_has_its_own() {
        let windows = Windows::new(Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(windows.count("a", at(0)), Standing { count: 1, left: Duration::from_secs(10) });
        assert_eq!(windows.count("a", at(9)), Standing { count: 2, left: Duration::from_secs(1) });
        assert_eq!(windows.count("b", at(9)).count, 1);
        assert_eq!(windows.standing(&"a", at(9)).count, 2);
        assert_eq!(windows.standing(&"a", at(10)).count, 0);
        assert_eq!(windows.count("a", at(10)), Standing { count: 1, left: Duration::from_secs(10) });
    }

    #[test]
    fn r5_memory_is_bounded_whoever_comes() {
        let windows = Windows::new(Duration::from_secs(10));
        let start = Instant::now();
        for n in 0..3 * MOST {
            windows.count(n, start);
        }
        assert!(windows.counts.lock().unwrap().len() <= MOST);
        windows.count(3 * MOST, start + Duration::from_secs(10));
        assert!(windows.counts.lock().unwrap().len() <= MOST);
    }
}
