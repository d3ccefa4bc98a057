//! A bounded number of places for dear work, shared fairly by who asks: nobody's flood keeps all of them (sec.S2, sec.R5, U35).
//!
//! Each network of a client has a bound of its own, by /64, /56 and /48, and networks take turns, whatever waits in each. When all places
//! are taken, the network that waits with most gives one up to one that waits with fewer. A part is kept for who is known: a device that
//! signed in before, or a session; they have every second turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::SecretDigest;

/// The most places of one client's /64 (or IPv4 address), /56 and /48, running and waiting.
const OF_NETWORK: [usize; 3] = [6, 9, 12];

/// Who asks for a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Share {
    /// Nobody in particular.
    #[default]
    Other,
    /// A client, by keyed digests of its networks, the narrowest first.
    Client(Vec<SecretDigest>),
    /// A device that signed in to the account before, or a session of it.
    Known,
}

impl Share {
    /// Who takes turns with others: the widest network.
    fn group(&self) -> Group {
        match self {
            Self::Other => Group::Other,
            Self::Client(networks) => networks.last().map_or(Group::Other, |widest| Group::Network(*widest.as_bytes())),
            Self::Known => Group::Known,
        }
    }

    fn networks(&self) -> impl Iterator<Item = (usize, [u8; 32])> {
        let networks = if let Self::Client(networks) = self { networks.as_slice() } else { &[] };
        networks.iter().enumerate().take(OF_NETWORK.len()).map(|(level, network)| (level, *network.as_bytes()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    Other,
    Known,
    Network([u8; 32]),
}

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken;

/// The places.
pub struct FairPlaces {
    at_once: usize,
    all: usize,
    kept: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Who runs.
    running: HashSet<u64>,
    /// Running and waiting: of everybody, and of all but who is known.
    taken: usize,
    by_others: usize,
    /// The same by network and level.
    of_network: HashMap<(usize, [u8; 32]), usize>,
    /// Who waits, in the order of the groups' turns; no queue is empty.
    waiting: VecDeque<(Group, VecDeque<Waiter>)>,
    known_had_its_turn: bool,
}

struct Waiter {
    id: u64,
    go: oneshot::Sender<()>,
}

/// A place, running or waiting, until it is dropped.
pub struct Place {
    places: Arc<FairPlaces>,
    share: Share,
    id: u64,
}

impl FairPlaces {
    /// So many at once, and so many more that wait; a quarter of those is kept for who is known.
    #[must_use]
    pub fn new(at_once: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self { at_once, all: at_once + waiting, kept: waiting / 4, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place that runs, when its turn has come.
    ///
    /// # Errors
    /// When there is none to wait in, or somebody with fewer needed it.
    pub async fn place(self: &Arc<Self>, share: Share) -> Result<Place, Taken> {
        let (place, turn) = self.enter(share)?;
        turn.await.map_err(|_| Taken)?;
        Ok(place)
    }

    fn enter(self: &Arc<Self>, share: Share) -> Result<(Place, oneshot::Receiver<()>), Taken> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let full = |network: (usize, [u8; 32])| {
            state.of_network.get(&network).is_some_and(|taken| *taken >= OF_NETWORK[network.0])
        };
        if share.networks().any(full) {
            return Err(Taken);
        }
        let group = share.group();
        let full = state.taken >= self.all || (group != Group::Known && state.by_others >= self.all - self.kept);
        if full && !state.make_room(group) {
            return Err(Taken);
        }
        state.count(&share, 1);
        let (id, (go, turn)) = (state.next, oneshot::channel());
        state.next += 1;
        let queue = match state.waiting.iter().position(|(waiting, _)| *waiting == group) {
            Some(at) => &mut state.waiting[at].1,
            None => {
                state.waiting.push_back((group, VecDeque::new()));
                let last = state.waiting.len() - 1;
                &mut state.waiting[last].1
            }
        };
        queue.push_back(Waiter { id, go });
        state.let_run(self.at_once);
        drop(guard);
        Ok((Place { places: Arc::clone(self), share, id }, turn))
    }
}

impl State {
    /// Counts a place that is taken, or given back.
    fn count(&mut self, share: &Share, by: isize) {
        let add = |count: &mut usize| *count = count.saturating_add_signed(by);
        add(&mut self.taken);
        if share.group() != Group::Known {
            add(&mut self.by_others);
        }
        for network in share.networks() {
            let count = self.of_network.entry(network).or_default();
            add(count);
            if *count == 0 {
                self.of_network.remove(&network);
            }
        }
    }

    /// Takes a place from the group that waits with most, if that is more than one more than `group` has waiting; who is known takes one
    /// from any. The newest goes. It is counted until its owner has heard of it.
    fn make_room(&mut self, group: Group) -> bool {
        let waits = |wanted: Group| {
            self.waiting.iter().find(|(waiting, _)| *waiting == wanted).map_or(0, |(_, queue)| queue.len())
        };
        let own = if group == Group::Known { 0 } else { waits(group) + 1 };
        let others = self.waiting.iter_mut().filter(|(waiting, _)| *waiting != Group::Known && *waiting != group);
        let Some((_, queue)) = others.max_by_key(|(_, queue)| queue.len()).filter(|(_, queue)| queue.len() > own)
        else {
            return false;
        };
        queue.pop_back();
        self.waiting.retain(|(_, queue)| !queue.is_empty());
        true
    }

    /// Lets those whose turn it is run.
    fn let_run(&mut self, at_once: usize) {
        while self.running.len() < at_once
            && let Some(Waiter { id, go }) = self.take_turn()
        {
            // Who has gone is not there to run.
            if go.send(()).is_ok() {
                self.running.insert(id);
            }
        }
    }

    fn take_turn(&mut self) -> Option<Waiter> {
        let known = self.waiting.iter().position(|(group, _)| *group == Group::Known);
        let other = self.waiting.iter().position(|(group, _)| *group != Group::Known);
        let at = match (known, other) {
            (Some(known), Some(other)) => {
                self.known_had_its_turn = !self.known_had_its_turn;
                if self.known_had_its_turn { known } else { other }
            }
            (known, other) => known.or(other)?,
        };
        let (group, mut queue) = self.waiting.remove(at)?;
        let waiter = queue.pop_front();
        if !queue.is_empty() {
            self.waiting.push_back((group, queue));
        }
        waiter
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        state.count(&self.share, -1);
        if !state.running.remove(&self.id) {
            for (_, queue) in &mut state.waiting {
                queue.retain(|waiter| waiter.id != self.id);
            }
            state.waiting.retain(|(_, queue)| !queue.is_empty());
        }
        state.let_run(self.places.at_once);
    }
}

#[cfg(test)]
mod tests;
