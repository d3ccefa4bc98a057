//! Which events a node has seen where: close together near the last one, and further apart the further back.

use std::collections::BTreeMap;

use uuid::Uuid;

/// So many of the last positions are all kept, so that a loss of fewer events is bounded exactly.
const DENSE: i64 = 512;
/// Further back, the distance between two is this part of the distance to the last one: so exactly a larger loss is bounded.
const PART: i64 = 16;
/// With so many it is thinned: the rules above keep about a thousand of any log.
const MOST: usize = 2_048;

/// Positions with the ids of their events.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ladder(BTreeMap<i64, Uuid>);

impl Ladder {
    /// The last one.
    pub(crate) fn top(&self) -> Option<(i64, Uuid)> {
        self.0.last_key_value().map(|(position, event)| (*position, *event))
    }

    /// Notes an event. Says whether that says more than was known.
    pub(crate) fn note(&mut self, position: i64, event: Uuid) -> bool {
        let top = self.top().map_or(0, |(top, _)| top);
        if position <= top - DENSE || self.0.insert(position, event) == Some(event) {
            return false;
        }
        if self.0.len() > MOST {
            self.thin();
        }
        true
    }

    /// As it was kept.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (i64, Uuid)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Forgets what is behind a position.
    pub(crate) fn cut(&mut self, behind: i64) {
        self.0.retain(|position, _| *position <= behind);
    }

    /// All of them, in rising order.
    pub(crate) fn pairs(&mut self) -> (Vec<i64>, Vec<Uuid>) {
        self.thin();
        self.0.iter().map(|(position, event)| (*position, *event)).unzip()
    }

    /// Forgets a position where its neighbours are close enough without it. The lower neighbour decides as well: what is kept must not
    /// leave a gap that only grows as the log does.
    fn thin(&mut self) {
        let Some((top, _)) = self.top() else { return };
        let positions: Vec<i64> = self.0.keys().copied().collect();
        let mut above = i64::MAX;
        for (place, position) in positions.iter().enumerate().rev() {
            let below = place.checked_sub(1).map(|below| positions[below]);
            let back = top - position;
            if back < DENSE || below.is_none_or(|below| above - below > back / PART) {
                above = *position;
            } else {
                self.0.remove(position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(position: i64) -> Uuid {
        Uuid::from_u128(position.unsigned_abs().into())
    }

    #[test]
    fn the_last_ones_are_all_there_and_the_others_within_a_sixteenth_of_their_distance() {
        let mut ladder = Ladder::default();
        let top = 3_000_000;
        for position in 1..=top {
            ladder.note(position, id(position));
        }
        let (positions, events) = ladder.pairs();
        assert!(positions.len() < 1_200, "{} of them", positions.len());
        assert!(positions.iter().zip(&events).all(|(position, event)| *event == id(*position)));
        assert!(positions.is_sorted());
        for parted in [top, top - 1, top - 511, top - 600, top - 10_000, top / 2, 1_000] {
            // The last known one before the place where the log parts.
            let there = positions.iter().rev().find(|position| **position < parted).copied().unwrap_or(0);
            let lost = top - parted + 1;
            let allowed = if lost < DENSE { 1 } else { 1 + lost / 8 };
            assert!(parted - there <= allowed, "{lost} lost: {there} is known before {parted}");
        }
    }

    #[test]
    fn what_comes_late_is_noted_near_the_end_only_and_a_cut_forgets() {
        let mut ladder = Ladder::default();
        assert!(ladder.note(10_000, id(10_000)));
        assert!(ladder.note(9_999, id(9_999)), "another node's event in between");
        assert!(!ladder.note(9_999, id(9_999)), "nothing new");
        assert!(!ladder.note(5, id(5)), "borne out by the last one");
        ladder.cut(9_999);
        assert_eq!(ladder.top(), Some((9_999, id(9_999))));
    }
}
