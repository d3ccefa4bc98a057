//! The machine's own clock and randomness: the one place that touches them; everybody else is handed these.

use atelier_commands::ports::Clock;
use atelier_vault::RandomBytes;
use chrono::{DateTime, SubsecRound, Utc};

/// The machine's clock, cut to microseconds: what PostgreSQL keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the composition root's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl RandomBytes for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the composition root's randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer)
            .expect("the operating system gives random bytes; without them nothing can be kept secret");
    }
}
