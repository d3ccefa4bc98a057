//! A checker that reads only the log: order, streams, money and idempotency keys, by sums of its own and none of the program's folds.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use atelier_commands::idempotency::REQUEST_GENERATION;
use atelier_domain::AccountId;
use atelier_server::system::SystemRandom;
use atelier_vault::Secrets;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::job_rules::Jobs;
use super::ledger_rules::Ledgers;

/// How many events are read at once.
const PAGE: i64 = 20_000;

/// An event as it stands in the table.
#[derive(Debug, Clone, FromRow)]
pub struct LogRow {
    pub position: i64,
    pub event_id: Uuid,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub payload: String,
}

/// An idempotency key as it stands in the table beside.
#[derive(Debug, Clone, FromRow)]
pub struct KeyRow {
    pub account_id: Uuid,
    pub key: String,
    pub result: String,
    pub position: i64,
}

/// What is wrong, each with where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Positions are not dense (property 1).
    Gap { after: i64, found: i64 },
    /// An event id is there twice.
    Repeated { position: i64, event_id: Uuid },
    /// A stream has a gap or a repeat (L20).
    OutOfSequence { position: i64, expected: i64, found: i64 },
    /// What was read before is not what is there now.
    PastChanged { position: i64 },
    /// Not an event whose money can be followed.
    Unreadable { position: i64 },
    /// The entries of an event do not sum to zero (L01).
    Unbalanced { position: i64, sum: i64 },
    /// A lot, or what is held, is below zero after this event (L08, G3).
    Negative { position: i64, account: String, balance: i64 },
    /// The entries are not what the event says of itself.
    EntriesDiffer { position: i64 },
    /// A hold is placed twice, or ends without being open (L10).
    Hold { position: i64, wrong: &'static str },
    /// A job breaks its order: held, requested, ended once, paid as delivered (L10, L22).
    Job { position: i64, wrong: &'static str },
    /// Something is still under way though nothing is left to do (L10).
    NotAtRest { id: String, wrong: &'static str },
    /// An idempotency key and a hold do not belong to each other one to one (G2, L04).
    Key { position: i64, wrong: &'static str },
    /// What a client was told is not in the log (G1).
    Lost { what: String },
    /// What a client was told is in the log, but not as it was told.
    NotAsTold { what: String },
}

/// Folds the log event by event, and keeps what is wrong with it.
#[derive(Debug, Default)]
pub struct LogChecker {
    /// The stream of each position, and the event's id and name.
    places: Vec<(Arc<str>, Uuid, String)>,
    ids: HashSet<Uuid>,
    streams: HashMap<Arc<str>, i64>,
    /// What happened to credits.
    pub ledgers: Ledgers,
    /// What happened to jobs; `None` where holds are placed without any.
    pub jobs: Option<Jobs>,
    /// What each key stands for.
    keys: HashMap<(Uuid, String), Uuid>,
    /// What turns a client's key into what is stored of it.
    secrets: Option<Secrets>,
    violations: Vec<Violation>,
}

impl LogChecker {
    /// A checker of a log in which every hold belongs to a job.
    pub fn of_jobs() -> Self {
        Self { jobs: Some(Jobs::default()), ..Self::default() }
    }

    /// The last position it has seen.
    pub fn last(&self) -> i64 {
        i64::try_from(self.places.len()).expect("few enough")
    }

    /// The id and the name of each event, by position.
    pub fn events(&self) -> impl Iterator<Item = (Uuid, &str)> {
        self.places.iter().map(|(_, id, name)| (*id, name.as_str()))
    }

    /// The stream and the name of the event at a position.
    pub fn at(&self, position: i64) -> Option<(&str, &str)> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        self.places.get(index).map(|(stream, _, name)| (stream.as_ref(), name.as_str()))
    }

    /// The same, of a server whose keys are in this folder: the table has keyed hashes of what clients sent.
    pub fn of_jobs_by(keys: &Path) -> Self {
        let secrets = Secrets::open(keys, &SystemRandom).expect("the folder has a key");
        Self { secrets: Some(secrets), ..Self::of_jobs() }
    }

    /// What a client's key stands for.
    pub fn key(&self, account: Uuid, key: &str) -> Option<Uuid> {
        let stored = match &self.secrets {
            Some(secrets) => secrets.idempotency_key(AccountId(account), REQUEST_GENERATION.name, key),
            None => key.to_owned(),
        };
        self.keys.get(&(account, stored)).copied()
    }

    /// Adds a finding of somebody who looks further than one event.
    pub fn found(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// What is wrong so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Takes the next event.
    pub fn event(&mut self, row: &LogRow) {
        let (position, after) = (row.position, self.last());
        if position != after + 1 {
            self.found(Violation::Gap { after, found: position });
        }
        if !self.ids.insert(row.event_id) {
            self.found(Violation::Repeated { position, event_id: row.event_id });
        }
        let stream: Arc<str> = format!("{} {}", row.aggregate_type, row.aggregate_id).into();
        let sequence = self.streams.entry(stream.clone()).or_default();
        let expected = *sequence + 1;
        *sequence = row.sequence;
        if row.sequence != expected {
            self.found(Violation::OutOfSequence { position, expected, found: row.sequence });
        }
        self.places.push((stream, row.event_id, row.event_type.clone()));
        self.fold(row);
    }

    fn fold(&mut self, row: &LogRow) {
        let payload: Value = serde_json::from_str(&row.payload).unwrap_or_default();
        let Some(body) = payload.get(&row.event_type) else {
            return self.found(Violation::Unreadable { position: row.position });
        };
        match row.aggregate_type.as_str() {
            "CreditLedger" => {
                self.violations.extend(self.ledgers.fold(row, body));
                self.violations.extend(self.jobs.iter_mut().flat_map(|jobs| jobs.of_ledger(row, body)));
            }
            "Generation" => self.violations.extend(self.jobs.iter_mut().flat_map(|jobs| jobs.of_job(row, body))),
            _ => {}
        }
    }

    /// Takes the keys that were used since, in order of their positions, after the events up to there.
    pub fn keys(&mut self, rows: &[KeyRow]) {
        for row in rows {
            let position = row.position;
            let generation = row.result.parse().unwrap_or_default();
            if self.keys.insert((row.account_id, row.key.clone()), generation).is_some() {
                self.found(Violation::Key { position, wrong: "used twice" });
            }
            match self.ledgers.keyed(generation, position) {
                Ok(()) => {}
                Err(wrong) => self.found(Violation::Key { position, wrong }),
            }
        }
    }

    /// Reads on to the head of the log: what was read before must be there unchanged.
    pub async fn read_on(&mut self, connection: &mut PgConnection) {
        let head = "select coalesce(max(position), 0) from events";
        let head: i64 = sqlx::query_scalar(head).fetch_one(&mut *connection).await.expect("the log answers");
        let (before, known) = (self.last(), self.places.last().map(|(_, id, _)| *id));
        if before > 0 {
            let there = sqlx::query_scalar("select event_id from events where position = $1").bind(before);
            let there: Option<Uuid> = there.fetch_optional(&mut *connection).await.expect("the log answers");
            if there != known {
                self.found(Violation::PastChanged { position: before });
            }
        }
        let mut read = before;
        while read < head {
            let page = sqlx::query_as::<_, LogRow>(
                "select position, event_id, aggregate_type, aggregate_id, sequence, event_type, payload::text as payload \
                 from events where position > $1 and position <= $2 order by position limit $3",
            );
            let page =
                page.bind(read).bind(head).bind(PAGE).fetch_all(&mut *connection).await.expect("the log answers");
            page.iter().for_each(|row| self.event(row));
            read = page.last().map_or(head, |row| row.position);
        }
        let keys = "select account_id, key, result, position from idempotency_keys where position > $1 and position <= $2 order by position";
        let keys = sqlx::query_as::<_, KeyRow>(keys).bind(before).bind(head).fetch_all(connection).await;
        self.keys(&keys.expect("the keys answer"));
    }

    /// What must hold of a log to which every hold came by an idempotency key.
    pub fn every_hold_has_its_key(&mut self) {
        self.violations.extend(self.ledgers.without_key());
    }

    /// What must hold once nothing is left to do: every hold has ended, every job has ended and is paid or not as it was delivered or not.
    pub fn at_rest(&mut self) {
        self.violations.extend(self.ledgers.still_open());
        self.violations.extend(self.jobs.iter().flat_map(Jobs::unfinished));
    }

    /// Fails with all that is wrong.
    #[track_caller]
    pub fn assert_well(&self) {
        assert!(self.violations.is_empty(), "the log is not as it must be: {:#?}", self.violations);
    }
}
