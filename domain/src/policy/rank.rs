//! Ranks: five names by the lifetime count of successful generations (A19, A21, A22, U01, U02).

use serde::{Deserialize, Serialize};

/// A creator's rank, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rank {
    /// From the first day.
    Beginner,
    /// 10 successful generations.
    Explorer,
    /// 50.
    Creator,
    /// 200.
    Artist,
    /// 1,000.
    Master,
}

/// A rank with the way to the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankProgress {
    /// The rank reached.
    pub current: Rank,
    /// Successful generations so far.
    pub count: i64,
    /// The next rank; `None` at Master.
    pub next: Option<Rank>,
    /// The count at which the next rank is reached.
    pub next_at: Option<i64>,
    /// How many are missing.
    pub remaining: Option<i64>,
    /// Progress from this rank's threshold to the next one's, 0 to 1; 1 at Master.
    pub ratio: f64,
}

const LADDER: [(Rank, i64); 5] =
    [(Rank::Beginner, 0), (Rank::Explorer, 10), (Rank::Creator, 50), (Rank::Artist, 200), (Rank::Master, 1_000)];

impl Rank {
    /// The rank's name, as the seed writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beginner => "Beginner",
            Self::Explorer => "Explorer",
            Self::Creator => "Creator",
            Self::Artist => "Artist",
            Self::Master => "Master",
        }
    }
}

/// Where a count of successful generations stands on the ladder. A negative count is taken as none.
#[must_use]
pub fn progress(count: i64) -> RankProgress {
    let count = count.max(0);
    let reached = LADDER.iter().rposition(|&(_, at)| count >= at).unwrap_or(0);
    let (current, from) = LADDER[reached];
    let next = LADDER.get(reached + 1).copied();
    // Counts are far below 2^52, so the conversion is exact.
    #[allow(clippy::cast_precision_loss)]
    let ratio = next.map_or(1.0, |(_, at)| (count - from) as f64 / (at - from) as f64);
    RankProgress {
        current,
        count,
        next: next.map(|(rank, _)| rank),
        next_at: next.map(|(_, at)| at),
        remaining: next.map(|(_, at)| at - count),
        ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a19_the_five_names_at_their_thresholds() {
        let at = |count| progress(count).current.name();
        let table =
            [(0, "Beginner"), (9, "Beginner"), (10, "Explorer"), (49, "Explorer"), (50, "Creator"), (199, "Creator")];
        for (count, name) in
            table.into_iter().chain([(200, "Artist"), (999, "Artist"), (1_000, "Master"), (9_999, "Master")])
        {
            assert_eq!(at(count), name, "{count}");
        }
    }

    #[test]
    fn a22_progress_to_the_next_rank() {
        let p = progress(30);
        assert_eq!((p.next, p.next_at, p.remaining), (Some(Rank::Creator), Some(50), Some(20)));
        assert!((p.ratio - 0.5).abs() < f64::EPSILON);
        let top = progress(1_000);
        assert_eq!((top.next, top.remaining), (None, None));
        assert!((top.ratio - 1.0).abs() < f64::EPSILON);
    }
}
