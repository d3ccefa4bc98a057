//! The steps of a life: whatever a process does to the world outside it passes here, and at a chosen one the process dies.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Before the world is touched, or after it was and before the process hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Before,
    After,
}

/// One step: the nth time that this was about to happen, or had just happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub side: Side,
    pub name: String,
    pub nth: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} #{}", self.side, self.name, self.nth)
    }
}

/// Where a life ends.
#[derive(Debug, Clone)]
pub enum Death {
    /// At this step.
    At(Step),
    /// At the nth step from now, whatever it is, from 1.
    Nth(usize),
}

/// The steps of one life.
#[derive(Default)]
pub struct Steps {
    state: Mutex<State>,
    died: CancellationToken,
}

#[derive(Default)]
struct State {
    seen: Vec<Step>,
    counts: BTreeMap<(Side, String), usize>,
    death: Option<Death>,
}

impl Steps {
    /// Counts anew from here, towards a death or none.
    pub fn begin(&self, death: Option<Death>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { death, ..State::default() };
    }

    /// The steps taken since [`Self::begin`].
    pub fn seen(&self) -> Vec<Step> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    /// Takes a step; the one who dies here goes no further, and neither does anybody else of this life.
    pub async fn pass(&self, side: Side, name: &str) {
        if !self.died.is_cancelled() && self.last(side, name) {
            self.died.cancel();
        }
        self.alive().await;
    }

    fn last(&self, side: Side, name: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = state.counts.entry((side, name.to_owned())).or_default();
        *nth += 1;
        let step = Step { side, name: name.to_owned(), nth: *nth };
        let last = match &state.death {
            None => false,
            Some(Death::At(at)) => *at == step,
            Some(Death::Nth(n)) => state.seen.len() + 1 == *n,
        };
        state.seen.push(step);
        last
    }

    /// Returns while the process lives, and never once it is dead.
    pub async fn alive(&self) {
        if self.died.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for the death.
    pub async fn died(&self) {
        self.died.cancelled().await;
    }

    /// Whether it came.
    pub fn dead(&self) -> bool {
        self.died.is_cancelled()
    }
}
