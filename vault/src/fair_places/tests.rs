//! Nobody's flood keeps the places from anybody else.

use proptest::prelude::*;

use super::*;

type Asked = (Place, oneshot::Receiver<()>);

fn digest(bytes: &[u8]) -> SecretDigest {
    let mut digest = [0; 32];
    digest[..bytes.len()].copy_from_slice(bytes);
    SecretDigest::of(digest)
}

/// An IPv6 client by its /48, /56 and /64.
fn client(wide: u8, middle: u8, narrow: u8) -> Share {
    Share::Client(vec![digest(&[3, wide, middle, narrow]), digest(&[2, wide, middle]), digest(&[1, wide])])
}

fn ask(places: &Arc<FairPlaces>, share: Share) -> Option<Asked> {
    places.enter(share).ok()
}

/// Whether it runs; `None` when it was sent away.
fn runs(asked: &mut Asked) -> Option<bool> {
    match asked.1.try_recv() {
        Ok(()) => Some(true),
        Err(oneshot::error::TryRecvError::Empty) => Some(asked.0.places.lock().running.contains(&asked.0.id)),
        Err(oneshot::error::TryRecvError::Closed) => {
            asked.0.places.lock().running.contains(&asked.0.id).then_some(true)
        }
    }
}

#[test]
fn r5_each_network_has_its_bound_at_every_width() {
    type Client = fn(u8) -> Share;
    let table: [(Client, usize); 4] = [
        (|_| client(1, 1, 1), OF_NETWORK[0]),
        (|n| client(1, 1, n), OF_NETWORK[1]),
        (|n| client(1, n, 1), OF_NETWORK[2]),
        (|_| Share::Client(vec![digest(&[9])]), OF_NETWORK[0]),
    ];
    for (share, most) in table {
        let places = FairPlaces::new(2, 64);
        let held: Vec<_> = (0..90).filter_map(|n| ask(&places, share(n))).collect();
        assert_eq!(held.len(), most);
        assert!(ask(&places, client(2, 2, 2)).is_some(), "somebody else is not refused");
        drop(held);
        assert!(ask(&places, share(0)).is_some(), "places come back");
    }
}

#[test]
fn r5_when_all_are_taken_who_has_fewest_gets_one_of_who_has_most() {
    let places = FairPlaces::new(2, 62);
    // Eight /48 of one flood, each with as many as it may have: more than there are.
    let mut held: Vec<Asked> = Vec::new();
    for share in (0..8).flat_map(|wide| (0..12).map(move |n| client(wide, n, 1))) {
        held.extend(ask(&places, share));
        held.retain_mut(|asked| runs(asked).is_some());
    }
    assert_eq!(held.len(), 49, "the rest is kept for who is known");
    assert!(ask(&places, client(0, 200, 1)).is_none(), "they do not drive each other out");
    let mut owner = ask(&places, client(100, 1, 1)).expect("a place");
    held.retain_mut(|asked| runs(asked).is_some());
    assert_eq!(held.len(), 48, "one of the flood had to go");
    // Networks take turns: the owner's comes before the flood is through.
    let mut ended = 0;
    while runs(&mut owner) != Some(true) {
        let at = held.iter_mut().position(|asked| runs(asked) == Some(true)).expect("somebody runs");
        drop(held.remove(at));
        ended += 1;
    }
    assert!(ended <= 10, "after one round at most: {ended}");
}

#[test]
fn u35_part_is_kept_for_who_is_known_and_they_have_every_second_turn() {
    let places = FairPlaces::new(1, 40);
    let mut held: Vec<_> = (0..100).filter_map(|n| ask(&places, client(n, 1, 1))).collect();
    assert_eq!(held.len(), 31);
    let mut known: Vec<_> = (0..10).map(|_| ask(&places, Share::Known).expect("kept for them")).collect();
    for round in 0..20 {
        let mut all: Vec<_> = held.iter_mut().chain(&mut known).collect();
        let at = all.iter_mut().position(|asked| runs(asked) == Some(true)).expect("somebody runs");
        let of_known = at >= held.len();
        assert_eq!(of_known, round % 2 == 1, "{round}");
        if of_known {
            known.remove(at - held.len());
        } else {
            held.remove(at);
        }
    }
    assert!(known.is_empty());
}

#[test]
fn s2_who_gives_up_waiting_leaves_its_place_and_who_was_sent_away_is_not_counted() {
    let places = FairPlaces::new(1, 1);
    let first = ask(&places, Share::Other).expect("it runs");
    let second = ask(&places, Share::Other).expect("it waits");
    assert!(ask(&places, Share::Other).is_none());
    drop(second);
    let mut third = ask(&places, Share::Other).expect("there is room");
    drop(first);
    assert_eq!(runs(&mut third), Some(true));
    drop(third);
    let state = places.lock();
    assert_eq!((state.taken, state.by_others, state.running.len(), state.waiting.len()), (0, 0, 0, 0));
    assert!(state.of_network.is_empty());
}

proptest! {
    /// Whatever comes and goes in whatever order: the bounds hold, nobody is forgotten, and a free place runs somebody who waits.
    #[test]
    fn s2_the_counts_are_those_of_who_is_there(steps in proptest::collection::vec((0..7_u8, 0..4_u8, any::<bool>()), 1..300)) {
        let places = FairPlaces::new(2, 16);
        let mut held: Vec<Asked> = Vec::new();
        for (who, narrow, leaves) in steps {
            if leaves && !held.is_empty() {
                let at = usize::from(who) % held.len();
                held.remove(at);
            } else {
                let share = match who { 0 => Share::Known, 1 => Share::Other, wide => client(wide, narrow, narrow) };
                held.extend(ask(&places, share));
            }
            held.retain_mut(|asked| runs(asked).is_some());
            let state = places.lock();
            let waiting: usize = state.waiting.iter().map(|(_, queue)| queue.len()).sum();
            prop_assert_eq!(state.taken, held.len());
            prop_assert_eq!(state.running.len() + waiting, held.len());
            prop_assert!(held.len() <= 18 && state.by_others <= 14);
            prop_assert!(state.running.len() == 2 || waiting == 0);
            for ((level, _), taken) in &state.of_network {
                prop_assert!(*taken <= OF_NETWORK[*level]);
            }
        }
        drop(held);
        prop_assert_eq!(places.lock().taken, 0);
    }
}
