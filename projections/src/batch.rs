//! What followers are fed: decoded events in the order of the log, and in their places the events that this program cannot decode.

use std::sync::Arc;

use atelier_domain::{Envelope, LogEvent};
use atelier_log::{Branch, Expected};
use uuid::Uuid;

/// An event of the log, decoded or not.
#[derive(Debug, Clone)]
pub enum Logged {
    /// It was decoded.
    Event(Arc<Envelope>),
    /// This program does not understand it.
    Undecodable(Arc<Undecodable>),
}

/// An event that this program does not understand. It holds no value of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// Where it is.
    pub position: i64,
    /// Its own id.
    pub event_id: Uuid,
    /// The kind of stream.
    pub aggregate_type: String,
    /// The stream.
    pub aggregate_id: String,
    /// Its stored name.
    pub event_type: String,
    /// Its stored version.
    pub event_version: String,
    /// Why; structure only.
    pub error: String,
}

impl Logged {
    /// Where it is.
    #[must_use]
    pub fn position(&self) -> i64 {
        match self {
            Self::Event(event) => event.position,
            Self::Undecodable(event) => event.position,
        }
    }

    /// Its own id.
    pub(crate) fn event_id(&self) -> Uuid {
        match self {
            Self::Event(event) => event.event_id.0,
            Self::Undecodable(event) => event.event_id,
        }
    }

    /// The kind of its stream, and the stream.
    pub(crate) fn stream(&self) -> (&str, String) {
        match self {
            Self::Event(event) => match &event.event {
                LogEvent::Account(account, _) => ("Account", account.to_string()),
                LogEvent::CreditLedger(ledger, _) => ("CreditLedger", ledger.to_string()),
                LogEvent::Generation(generation, _) => ("Generation", generation.to_string()),
            },
            Self::Undecodable(event) => (&event.aggregate_type, event.aggregate_id.clone()),
        }
    }
}

/// Events in order, dense from the asked position on. Those that could not be decoded are apart, because as a rule there are none.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The log that they are of, with the last of them as what it is known by; none when they were read back and nothing moves by them.
    pub(crate) log: Option<Expected>,
    /// The decoded ones.
    pub events: Vec<Arc<Envelope>>,
    /// The others.
    pub undecodable: Vec<Arc<Undecodable>>,
}

impl Batch {
    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.undecodable.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len() + self.undecodable.len()
    }

    /// The same events, of this branch of the log.
    pub(crate) fn of(self, branch: Branch) -> Self {
        let last = self.events.last().map(|event| (event.position, event.event_id.0));
        let last = last.max(self.undecodable.last().map(|event| (event.position, event.event_id)));
        let (position, event) = last.unzip();
        Self { log: Some(Expected { branch, position, event }), ..self }
    }

    /// The position of the last one; `None` when there is none.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        let decoded = self.events.last().map(|event| event.position);
        decoded.max(self.undecodable.last().map(|event| event.position))
    }

    /// All of them, in the order of the log.
    #[must_use]
    pub fn in_order(&self) -> Vec<Logged> {
        let mut all: Vec<Logged> = self.events.iter().cloned().map(Logged::Event).collect();
        all.extend(self.undecodable.iter().cloned().map(Logged::Undecodable));
        all.sort_by_key(Logged::position);
        all
    }
}

impl FromIterator<Logged> for Batch {
    fn from_iter<I: IntoIterator<Item = Logged>>(events: I) -> Self {
        let events = events.into_iter();
        let mut batch = Self { log: None, events: Vec::with_capacity(events.size_hint().0), undecodable: Vec::new() };
        for event in events {
            match event {
                Logged::Event(event) => batch.events.push(event),
                Logged::Undecodable(event) => batch.undecodable.push(event),
            }
        }
        batch
    }
}
