//! Holds: which lots pay for which generation, and a bounded memory of the holds that have ended.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::BudgetCharge;
use super::entry::total;
use crate::{Credits, GenerationId, HoldId, LotId};

/// How many ended holds a ledger recognises one by one; beyond that it recognises them by age.
pub const REMEMBERED_HOLDS: usize = 1000;

/// What one lot gives to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPart {
    /// The lot it was taken from, and returns to.
    pub lot_id: LotId,
    /// How much; positive.
    pub amount: Credits,
}

/// An open hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What it pays for.
    pub generation_id: GenerationId,
    /// Which price list its amount comes from.
    pub price_version: u32,
    /// Whose caps it counts against, if any.
    pub budget: Option<BudgetCharge>,
    /// The lots it is made of, in burn order: the first ones pay first.
    pub parts: Vec<HoldPart>,
}

impl Hold {
    /// How much is held; the most that can be captured.
    #[must_use]
    pub fn amount(&self) -> Credits {
        total(self.parts.iter().map(|part| part.amount))
    }
}

/// The holds that ended, so that a late repeat of a request cannot hold again (L10).
///
/// Ids are UUIDv7 made when the request came in, so their order is their age. When the oldest is forgotten, its instant stays, and an id made no
/// later than that is taken for ended: a hold is never placed twice, at the price of refusing a request that arrives after a thousand younger
/// ones have come and gone. Sorted in one piece of memory, they are looked up by halving, and copied at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedHolds {
    /// Sorted, oldest first; at most [`REMEMBERED_HOLDS`], each once.
    recent: VecDeque<HoldId>,
    /// Unix milliseconds of the youngest id forgotten.
    forgotten_until: Option<u64>,
}

impl EndedHolds {
    pub(super) fn contains(&self, id: HoldId) -> bool {
        let forgotten = || matches!((made_at(id), self.forgotten_until), (Some(made), Some(until)) if made <= until);
        self.recent.binary_search(&id).is_ok() || forgotten()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.recent.capacity() * size_of::<HoldId>()
    }

    pub(super) fn remember(&mut self, id: HoldId) {
        // Nearly always at the end: holds end in about the order they were made in.
        if let Err(place) = self.recent.binary_search(&id) {
            self.recent.insert(place, id);
        }
        if self.recent.len() > REMEMBERED_HOLDS {
            let forgotten = self.recent.pop_front().and_then(made_at);
            self.forgotten_until = self.forgotten_until.max(forgotten);
        }
    }
}

/// When a time-ordered id was made, in Unix milliseconds; `None` for an id without a time in it.
fn made_at(id: HoldId) -> Option<u64> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    seconds.checked_mul(1000)?.checked_add(u64::from(nanos / 1_000_000))
}
