//! When the private PostgreSQL was last started again: connections from before lead nowhere.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The moment, if there was one.
#[derive(Debug, Default)]
pub struct LastRestart(Mutex<Option<Instant>>);

impl LastRestart {
    /// It was started just now.
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age was made after it.
    pub fn is_before(&self, age: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|restarted| restarted.elapsed() >= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_before_a_restart_are_not_used_again() {
        let last = LastRestart::default();
        assert!(last.is_before(Duration::from_secs(3_600)));
        last.now();
        assert!(!last.is_before(Duration::from_secs(3_600)));
        assert!(last.is_before(Duration::ZERO));
    }
}
