//! The cache of warm aggregates: bounded in bytes. Losing an entry costs a read of the log and nothing else.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;

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

/// Warm aggregates of every type.
pub(super) struct WarmCache(Cache<StreamId, Entry, ByWeight>);

impl WarmCache {
    /// A cache of at most about this many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self(Cache::with_weighter(ESTIMATED_ENTRIES, bytes, ByWeight))
    }

    /// The slot of a stream; a new one when it is not there. An entry that was dropped while somebody still uses it is simply a
    /// second one of the same stream: the log decides between them.
    pub(super) fn slot<A: Decide + Send + Sync + 'static>(&self, stream: &StreamId) -> Arc<Slot<A>> {
        let fresh = || Entry { slot: Arc::<Slot<A>>::default(), weight: weight::<A>(0) };
        let entry = self.0.get_or_insert_with(stream, || Ok::<_, Infallible>(fresh()));
        let Ok(entry) = entry;
        entry.slot.downcast().unwrap_or_else(|_| {
            // Of another type under the same name, which no two aggregates have.
            let slot = Arc::default();
            self.put(stream, &slot, 0);
            slot
        })
    }

    /// Counts an entry anew, when its state has grown.
    pub(super) fn put<A: Decide + Send + Sync + 'static>(&self, stream: &StreamId, slot: &Arc<Slot<A>>, heap: usize) {
        self.0.insert(stream.clone(), Entry { slot: slot.clone(), weight: weight::<A>(heap) });
    }

    /// The bytes it counts.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
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
    fn d3_a_name_used_for_two_types_is_two_entries_in_turn_and_never_one() {
        let cache = WarmCache::new(1 << 20);
        let ledger = cache.slot::<CreditLedger>(&stream(1));
        cache.slot::<Generation>(&stream(1));
        assert!(!Arc::ptr_eq(&cache.slot::<CreditLedger>(&stream(1)), &ledger));
    }
}
