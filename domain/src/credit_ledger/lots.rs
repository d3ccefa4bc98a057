//! Lots: what is left of each grant, the order in which they burn, and a bounded memory of those that are spent.

use std::cmp::Ordering;
use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::entry::{plus, total};
use super::{GrantReason, GrantSource};
use crate::{Credits, LotId};

/// How many spent lots a ledger still recognises.
///
/// A repeated grant of a spent lot must not grant twice, and state must not grow for ever. A lot with an expiry is safe without any memory once
/// that instant has passed, because a grant that is already over is refused. So the bound matters only to a repeat that comes after a thousand
/// *other* lots of the same ledger were used up, within the lot's own life: decades for bought packs, which are also deduplicated by payment (L15).
pub const REMEMBERED_LOTS: usize = 1000;

/// What a lot was granted with; a repeat of the grant has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotTerms {
    /// What kind of credits they are.
    pub source: GrantSource,
    /// Where they come from.
    pub reason: GrantReason,
    /// How many were granted.
    pub amount: Credits,
    /// The first instant at which they can no longer be spent; `None` never expires.
    pub expires_at: Option<DateTime<Utc>>,
}

impl LotTerms {
    /// Whether a grant with these terms is this one again. A grant of a release that recorded no reason is repeated by one that does.
    pub(super) fn repeated_by(&self, again: &Self) -> bool {
        let known = Self { reason: again.reason, ..*self };
        known == *again && (self.reason == again.reason || self.reason == GrantReason::Unrecorded)
    }

    /// Whether the credits are unspendable at `now`, swept or not (L13).
    #[must_use]
    pub fn expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|instant| now >= instant)
    }
}

/// A lot of which something is left or held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The lot's id.
    pub id: LotId,
    /// What it was granted with.
    pub terms: LotTerms,
    /// Its place among the ledger's grants, from 1: the earlier, the older.
    pub order: u64,
    /// Neither spent nor held nor expired.
    pub remaining: Credits,
    /// Set aside by open holds.
    pub held: Credits,
}

/// The order in which lots are spent (U20): soonest expiry first and never-expiring last, promotional before plan before purchased, then the
/// older grant. Grants carry no priority and take effect when granted, so U20's "priority" and "earlier effective" have nothing to compare.
///
/// Lots are kept sorted by it, snapshots too: changing it takes a new snapshot version.
#[must_use]
pub fn burn_order(a: &Lot, b: &Lot) -> Ordering {
    let never_last = |lot: &Lot| (lot.terms.expires_at.is_none(), lot.terms.expires_at);
    never_last(a)
        .cmp(&never_last(b))
        .then_with(|| a.terms.source.cmp(&b.terms.source))
        .then_with(|| a.order.cmp(&b.order))
        .then_with(|| a.id.cmp(&b.id))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SpentLot {
    id: LotId,
    terms: LotTerms,
}

/// The lots of one ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lots {
    /// How many were ever granted.
    granted: u64,
    /// In burn order.
    open: Vec<Lot>,
    /// Oldest first, at most [`REMEMBERED_LOTS`].
    spent: VecDeque<SpentLot>,
}

impl Lots {
    pub(super) fn heap_bytes(&self) -> usize {
        self.open.capacity() * size_of::<Lot>() + self.spent.capacity() * size_of::<SpentLot>()
    }

    pub(super) fn open(&self) -> &[Lot] {
        &self.open
    }

    pub(super) fn get(&self, id: LotId) -> Option<&Lot> {
        self.open.iter().find(|lot| lot.id == id)
    }

    /// The terms of a lot that is open or was spent not too long ago.
    pub(super) fn terms(&self, id: LotId) -> Option<LotTerms> {
        let spent = || self.spent.iter().find(|lot| lot.id == id).map(|lot| lot.terms);
        self.get(id).map(|lot| lot.terms).or_else(spent)
    }

    /// In burn order, those from which can be taken at `now`.
    pub(super) fn spendable(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Lot> {
        self.open.iter().filter(move |lot| lot.remaining.is_positive() && !lot.terms.expired(now))
    }

    pub(super) fn held(&self) -> Credits {
        total(self.open.iter().map(|lot| lot.held))
    }

    /// Everything not yet consumed or written off, held or not, expired or not.
    pub(super) fn posted(&self) -> Credits {
        total(self.open.iter().flat_map(|lot| [lot.remaining, lot.held]))
    }

    pub(super) fn grant(&mut self, id: LotId, terms: LotTerms) {
        self.granted = self.granted.saturating_add(1);
        let lot = Lot { id, terms, order: self.granted, remaining: terms.amount, held: Credits::ZERO };
        let place = self.open.partition_point(|other| burn_order(other, &lot).is_lt());
        self.open.insert(place, lot);
    }

    /// Adds to what is left of a lot and to what is held of it; a lot with nothing of either leaves the state.
    pub(super) fn post(&mut self, id: LotId, to_remaining: Credits, to_held: Credits) {
        let Some(place) = self.open.iter().position(|lot| lot.id == id) else { return };
        let lot = &mut self.open[place];
        lot.remaining = plus(lot.remaining, to_remaining);
        lot.held = plus(lot.held, to_held);
        if lot.remaining == Credits::ZERO && lot.held == Credits::ZERO {
            let Lot { id, terms, .. } = self.open.remove(place);
            self.spent.push_back(SpentLot { id, terms });
            if self.spent.len() > REMEMBERED_LOTS {
                self.spent.pop_front();
            }
        }
    }
}
