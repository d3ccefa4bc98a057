//! What clients sent and what they were told: kept outside everything that is killed, and held against the log.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use atelier_projections::PositionToken;
use sqlx::PgConnection;
use tokio::sync::Notify;
use uuid::Uuid;

use super::log_checker::{LogChecker, Violation};

/// What a client was told.
#[derive(Debug, Clone)]
pub enum Told {
    /// The job is accepted: it has the hold's id, and its key stands for it.
    Accepted { key: String, generation: Uuid },
    /// The job is delivered and this much was paid.
    Paid { key: String, generation: Uuid, captured: i64 },
    /// The job is withdrawn.
    Cancelled { generation: Uuid },
    /// The biography is changed.
    BioChanged,
}

/// One acknowledgement.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub account: Uuid,
    pub told: Told,
    /// The position to read from; nothing when the answer has none.
    pub position: Option<i64>,
}

/// The journal of all clients.
#[derive(Debug, Default)]
pub struct Journal {
    log: Uuid,
    acknowledged: Mutex<Vec<Acknowledged>>,
    told: Notify,
    /// Requests sent, the repeated ones too.
    pub sent: AtomicUsize,
    /// Of these, those that were not answered, or with "try again".
    pub unanswered: AtomicUsize,
    /// Of these, those answered 500.
    pub faults: AtomicUsize,
    /// Requests that a rule refused: there was not enough to pay with.
    pub refused: AtomicUsize,
    /// Keys whose job was closed before it was requested.
    pub abandoned: AtomicUsize,
    /// Repeats of what was acknowledged before.
    pub repeated: AtomicUsize,
}

impl Journal {
    /// An empty journal of clients of this log.
    pub async fn of(connection: &mut PgConnection) -> Self {
        let log = sqlx::query_scalar("select log_id from log_identity").fetch_one(connection).await;
        Self { log: log.expect("a log has an id"), ..Self::default() }
    }

    /// The place in the log that an opaque position stands for.
    pub fn position(&self, token: Option<&str>) -> Option<i64> {
        PositionToken::decode(token?, self.log).map(|position| position.number)
    }

    /// Writes an acknowledgement down.
    pub fn acknowledge(&self, acknowledged: Acknowledged) {
        self.acknowledged.lock().expect("nobody panics while writing").push(acknowledged);
        self.told.notify_waiters();
    }

    /// Waits for the next acknowledgement.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// How many acknowledgements there are.
    pub fn len(&self) -> usize {
        self.acknowledged.lock().expect("nobody panics while writing").len()
    }

    /// The acknowledgements from this one on. What is read from the log afterwards must have them.
    pub fn since(&self, from: usize) -> Vec<Acknowledged> {
        self.acknowledged.lock().expect("nobody panics while writing")[from..].to_vec()
    }

    /// Counts.
    pub fn count(&self, what: &AtomicUsize) -> usize {
        what.load(Ordering::Relaxed)
    }
}

/// Holds acknowledgements against the log that was read after them: each is there, once, as it was told.
pub fn hold_against(checker: &mut LogChecker, acknowledged: &[Acknowledged]) {
    let mut bios = HashSet::new();
    for one in acknowledged {
        let what = || format!("{one:?}");
        match missing(checker, one) {
            None => {}
            Some(Missing::All) => checker.found(Violation::Lost { what: what() }),
            Some(Missing::Part) => checker.found(Violation::NotAsTold { what: what() }),
        }
        let again = matches!(one.told, Told::BioChanged) && !bios.insert(one.position);
        if again {
            checker.found(Violation::NotAsTold { what: what() });
        }
    }
}

enum Missing {
    All,
    Part,
}

fn missing(checker: &LogChecker, one: &Acknowledged) -> Option<Missing> {
    let jobs = checker.jobs.as_ref().expect("a checker of jobs");
    // What stood at the position when it was told.
    let at = one.position.map(|position| checker.at(position));
    let kept = |key: &String| checker.key(one.account, key);
    let there = match &one.told {
        Told::Accepted { key, generation } => kept(key).is_some() && jobs.requested(*generation),
        Told::Paid { key, generation, .. } => kept(key).is_some() && jobs.captured(*generation).is_some(),
        Told::Cancelled { generation } => jobs.cancelled(*generation),
        Told::BioChanged => true,
    };
    if !there || at == Some(None) {
        return Some(Missing::All);
    }
    let stream = at.flatten();
    let as_told = match &one.told {
        // At the position stands its own event, or the ledger's that its repeat stands on.
        Told::Accepted { key, generation } => {
            let own = [format!("Generation {generation}"), format!("CreditLedger {}:live", one.account)];
            kept(key) == Some(*generation) && stream.is_some_and(|(stream, _)| own.iter().any(|own| own == stream))
        }
        // L29: the position includes the capture.
        Told::Paid { key, generation, captured } => {
            let included = |at| one.position.is_some_and(|told| told >= at);
            let paid = jobs.captured(*generation);
            kept(key) == Some(*generation) && paid.is_some_and(|(paid, at)| paid == *captured && included(at))
        }
        Told::Cancelled { .. } => true,
        Told::BioChanged => stream == Some((format!("Account {}", one.account).as_str(), "BioChanged")),
    };
    (!as_told).then_some(Missing::Part)
}
