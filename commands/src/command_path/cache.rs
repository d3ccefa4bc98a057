//! The cache of warm aggregates: bounded in bytes. Losing an entry costs a read of the log and nothing else.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use atelier_domain::Decide;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::warm::Slot;
use crate::event_store::StreamId;

/// What an entry costs beside the aggregate: its key, its slot, the cache's own.
const OVERHEAD: u64 = 512;
/// How many entries the cache makes room for at first.
const ESTIMATED_ENTRIES: usize = 10_000;

/// An entry as the cache counts it: its weight is fixed when it is put in.
#[derive(Clone)]
struct Entry {
    slot: Arc<dyn Any + Send + Sync>,
    weight: u64,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<StreamId, Entry> for ByWeight {
    fn weight(&self, _: &StreamId, entry: &Entry) -> u64 {
        entry.weight
    }
}

fn weight<A>(heap: usize) -> u64 {
    OVERHEAD + (size_of::<A>() + heap) as u64
}

/// The slots somebody uses, in the cache or not: commands on one aggregate must meet in one slot, also when the cache has dropped
/// it or never took it in.
#[derive(Default)]
struct InUse {
    slots: HashMap<StreamId, Weak<dyn Any + Send + Sync>>,
    /// The number of entries at which those that nobody uses are taken out.
    sweep_at: usize,
}

/// Warm aggregates of every type.
pub(super) struct WarmCache {
    cached: Cache<StreamId, Entry, ByWeight>,
    in_use: Mutex<InUse>,
}

impl WarmCache {
    /// A cache of at most about this many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self { cached: Cache::with_weighter(ESTIMATED_ENTRIES, bytes, ByWeight), in_use: Mutex::default() }
    }

    /// The slot of a stream; a new one when it is not there.
    pub(super) fn slot<A: Decide + Send + Sync + 'static>(&self, stream: &StreamId) -> Arc<Slot<A>> {
        let cached = self.cached.get(stream).and_then(|entry| entry.slot.downcast().ok());
        cached.unwrap_or_else(|| {
            let slot = self.in_use(stream);
            self.put(stream, &slot, slot.counted());
            slot
        })
    }

    /// The slot that somebody uses although the cache does not have it; else a new one.
    fn in_use<A: Decide + Send + Sync + 'static>(&self, stream: &StreamId) -> Arc<Slot<A>> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = in_use.slots.get(stream).and_then(Weak::upgrade)
            && let Ok(slot) = slot.downcast()
        {
            return slot;
        }
        if in_use.slots.len() >= in_use.sweep_at {
            in_use.slots.retain(|_, slot| slot.strong_count() > 0);
            in_use.sweep_at = 1_024.max(in_use.slots.len() * 2);
        }
        let slot = Arc::<Slot<A>>::default();
        let known: Arc<dyn Any + Send + Sync> = slot.clone();
        in_use.slots.insert(stream.clone(), Arc::downgrade(&known));
        slot
    }

    /// Counts an entry anew, when its state has grown.
    pub(super) fn put<A: Decide + Send + Sync + 'static>(&self, stream: &StreamId, slot: &Arc<Slot<A>>, heap: usize) {
        self.cached.insert(stream.clone(), Entry { slot: slot.clone(), weight: weight::<A>(heap) });
    }

    /// The bytes it counts.
    pub(super) fn bytes(&self) -> u64 {
        self.cached.weight()
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::credit_ledger::CreditLedger;
    use atelier_domain::generation::Generation;

    use super::*;

    fn stream(number: usize) -> StreamId {
        StreamId { aggregate_type: "CreditLedger", aggregate_id: number.to_string() }
    }

    #[test]
    fn d3_the_cache_is_bounded_in_bytes_and_counts_what_a_state_grows_to() {
        let cache = WarmCache::new(1 << 20);
        for number in 0..10_000 {
            cache.slot::<CreditLedger>(&stream(number));
        }
        assert!(cache.bytes() <= 1 << 20, "{} bytes", cache.bytes());
        let small = WarmCache::new(1 << 20);
        let slot = small.slot::<CreditLedger>(&stream(1));
        let before = small.bytes();
        small.put(&stream(1), &slot, 5_000);
        assert_eq!(small.bytes() - before, 5_000);
        assert!(Arc::ptr_eq(&small.slot::<CreditLedger>(&stream(1)), &slot), "it is the same entry");
    }

    #[test]
    fn d3_everybody_on_one_aggregate_meets_in_one_slot_although_the_cache_has_no_room() {
        let cache = WarmCache::new(1);
        let slot = cache.slot::<CreditLedger>(&stream(1));
        for number in 2..5_000 {
            cache.slot::<CreditLedger>(&stream(number));
        }
        assert!(Arc::ptr_eq(&cache.slot(&stream(1)), &slot));
        assert!(cache.in_use.lock().unwrap().slots.len() <= 1_024, "what nobody uses is forgotten");
    }

    #[test]
    fn d3_a_name_used_for_two_types_is_two_entries_in_turn_and_never_one() {
        let cache = WarmCache::new(1 << 20);
        let ledger = cache.slot::<CreditLedger>(&stream(1));
        cache.slot::<Generation>(&stream(1));
        assert!(!Arc::ptr_eq(&cache.slot::<CreditLedger>(&stream(1)), &ledger));
    }
}
