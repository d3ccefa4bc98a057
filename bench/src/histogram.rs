//! Latencies in buckets of under one percent: recording is two shifts and an addition.

use std::time::Duration;

/// Buckets of each power of two.
const FINE: u64 = 128;
const FINE_BITS: u32 = FINE.trailing_zeros();
/// Up to 2^40 ns, eighteen minutes.
const BUCKETS: usize = (40 - FINE_BITS as usize + 1) * FINE as usize;

/// How often each latency was seen.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// Adds another one's counts.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
    }

    /// How many were counted.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The latency that a share of all did not exceed, in milliseconds; `None` when there are none.
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle(place) / 1e6)
    }
}

/// Below `FINE` each number has its bucket; above, each power of two has `FINE` of them.
fn bucket(nanos: u64) -> usize {
    let shift = nanos.max(1).ilog2().saturating_sub(FINE_BITS);
    let index = u64::from(shift) * FINE + (nanos >> shift);
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

fn middle(bucket: usize) -> f64 {
    let (bucket, fine) = (bucket as u64, FINE);
    let shift = (bucket / fine).saturating_sub(1);
    let low = (bucket - shift * fine) << shift;
    low as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_comes_back_within_a_percent() {
        for nanos in
            (0..40).flat_map(|power| [1_u64 << power, (1 << power) + (1 << power) / 3]).filter(|n| *n < 1 << 39)
        {
            let back = middle(bucket(nanos));
            assert!((back - nanos as f64).abs() <= nanos as f64 / 100.0, "{nanos} came back as {back}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile_ms(0.5), None);
        (1..=1000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        let near = |share, expected: f64| {
            let found = histogram.percentile_ms(share).unwrap();
            assert!((found - expected).abs() < expected / 50.0, "{share}: {found}");
        };
        near(0.5, 0.5);
        near(0.99, 0.99);
        near(1.0, 1.0);
    }
}
