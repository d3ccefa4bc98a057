//! What the checker knows of jobs: held first, requested for what is held, ended once, and paid exactly as delivered (L10, L22).

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::ledger_rules::id;
use super::log_checker::{LogRow, Violation};

#[derive(Debug, Default)]
struct Job {
    held: Option<i64>,
    requested: bool,
    ended: bool,
    /// The price of what was delivered.
    delivered: Option<i64>,
    cancelled: bool,
    /// What was paid, and where.
    captured: Option<(i64, i64)>,
}

/// All jobs of a log.
#[derive(Debug, Default)]
pub struct Jobs(HashMap<Uuid, Job>);

impl Jobs {
    /// Takes an event of a ledger; what is wrong with the job it is about.
    pub fn of_ledger(&mut self, row: &LogRow, body: &Value) -> Option<Violation> {
        let position = row.position;
        let job = self.0.entry(id(body, "generation_id")?).or_default();
        let wrong = match row.event_type.as_str() {
            "HoldPlaced" => {
                job.held = body["amount"].as_i64();
                job.requested.then_some("requested before it was held")
            }
            "HoldCaptured" => {
                let captured = body["captured"].as_i64();
                job.captured = captured.map(|captured| (captured, position));
                (job.delivered.is_none() || captured != job.delivered).then_some("not paid as delivered")
            }
            "HoldVoided" => (!job.ended || job.delivered.is_some()).then_some("voided though not ended, or delivered"),
            _ => None,
        };
        wrong.map(|wrong| Violation::Job { position, wrong })
    }

    /// Takes an event of a job; what is wrong with it.
    pub fn of_job(&mut self, row: &LogRow, body: &Value) -> Option<Violation> {
        let position = row.position;
        let Ok(id) = row.aggregate_id.parse() else { return Some(Violation::Unreadable { position }) };
        let job = self.0.entry(id).or_default();
        let wrong = match row.event_type.as_str() {
            "GenerationRequested" => {
                let twice = std::mem::replace(&mut job.requested, true);
                (twice || job.held.is_none() || job.held != body["price"].as_i64())
                    .then_some("requested twice, or not for what is held")
            }
            end @ ("GenerationSucceeded" | "GenerationFailed" | "GenerationCancelled" | "GenerationAbandoned") => {
                let twice = std::mem::replace(&mut job.ended, true);
                if end == "GenerationSucceeded" {
                    job.delivered = body["price"].as_i64();
                }
                job.cancelled |= end == "GenerationCancelled";
                twice.then_some("ended twice")
            }
            _ => None,
        };
        wrong.map(|wrong| Violation::Job { position, wrong })
    }

    /// Whether a job was accepted.
    pub fn requested(&self, id: Uuid) -> bool {
        self.0.get(&id).is_some_and(|job| job.requested)
    }

    /// Whether a job was withdrawn.
    pub fn cancelled(&self, id: Uuid) -> bool {
        self.0.get(&id).is_some_and(|job| job.cancelled)
    }

    /// What was paid for a job, and where the log says so.
    pub fn captured(&self, id: Uuid) -> Option<(i64, i64)> {
        self.0.get(&id)?.captured
    }

    /// How many jobs were paid.
    pub fn paid(&self) -> usize {
        self.0.values().filter(|job| job.captured.is_some()).count()
    }

    /// The jobs that have not ended, or are delivered and not paid.
    pub fn unfinished(&self) -> Vec<Violation> {
        let left = |job: &Job| match (job.ended, job.delivered.is_some() == job.captured.is_some()) {
            (false, _) => Some("a job has not ended"),
            (true, false) => Some("a job is delivered and not paid"),
            (true, true) => None,
        };
        let found = self.0.iter().filter_map(|(id, job)| Some((id, left(job)?)));
        found.map(|(id, wrong)| Violation::NotAtRest { id: id.to_string(), wrong }).collect()
    }
}
