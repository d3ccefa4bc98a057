//! Random choices from a seed that is printed, so that the same ones can be made again.

use atelier_server::system::SystemRandom;
use atelier_vault::RandomBytes;

/// The variable that repeats a run's choices.
const SEED: &str = "ATELIER_SEED";

/// Dice (`SplitMix64`). They decide what is asked and when something is killed; how the machine interleaves it is its own affair.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice for one test: seeded as the environment says, else by the machine; the seed is printed.
    pub fn of(test: &str) -> Self {
        let seed = std::env::var(SEED).ok().map_or_else(fresh, |text| text.parse().expect("ATELIER_SEED is a number"));
        eprintln!("{test}: {SEED}={seed}");
        Self(seed)
    }

    /// Dice of their own for somebody else.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound that is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a bound fits");
        usize::try_from(self.next() % bound).expect("below the bound")
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Whether something with this many chances in a hundred happens.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

fn fresh() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}
