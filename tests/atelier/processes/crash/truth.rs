//! What must be true of an account once everything is at rest, whoever died in between: read from the log, the rows, the files and
//! the mails, not from the program's own answers.

use std::collections::BTreeMap;

use atelier_domain::AccountId;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::Row;

use super::world::World;

/// One event, as stored.
struct Fact {
    position: i64,
    name: String,
    decided_at: DateTime<Utc>,
    said: Value,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub job: String,
    pub how: String,
}

async fn stream(world: &World, kind: &str, id: &str) -> Vec<Fact> {
    let rows = sqlx::query(
        "select position, event_type, decided_at, payload from events \
         where aggregate_type = $1 and aggregate_id = $2 order by sequence",
    );
    let rows = rows.bind(kind).bind(id).fetch_all(&world.database.pool).await.expect("the log answers");
    let fact = |row: &sqlx::postgres::PgRow| {
        let (name, mut payload): (String, Value) = (row.get(1), row.get(3));
        Fact { position: row.get(0), said: payload[&name].take(), name, decided_at: row.get(2) }
    };
    rows.iter().map(fact).collect()
}

async fn count(world: &World, sql: &str, id: &str) -> i64 {
    sqlx::query_scalar(sql).bind(id).fetch_one(&world.database.pool).await.expect("the database answers")
}

/// Checks everything about an account's jobs; how they ended, in the order of their holds.
pub async fn check(world: &World, account: AccountId) -> Vec<Ended> {
    let ledger = stream(world, "CreditLedger", &format!("{account}:live")).await;
    let mut balance = 0;
    let mut jobs: Vec<String> = Vec::new();
    let mut ends: BTreeMap<String, &Fact> = BTreeMap::new();
    let mut held_at: BTreeMap<String, i64> = BTreeMap::new();
    for fact in &ledger {
        let number = |field: &str| fact.said[field].as_i64().expect("credits");
        let job = || fact.said["generation_id"].as_str().expect("a job").to_owned();
        match fact.name.as_str() {
            "CreditsGranted" => balance += number("amount"),
            "HoldPlaced" => {
                assert!(held_at.insert(job(), fact.position).is_none(), "held twice: {}", job());
                jobs.push(job());
            }
            "HoldCaptured" | "HoldVoided" => {
                assert!(held_at.contains_key(&job()), "an end without a hold: {}", job());
                assert!(ends.insert(job(), fact).is_none(), "L10: ended twice: {}", job());
                if fact.name == "HoldCaptured" {
                    balance -= number("captured");
                }
            }
            other => panic!("nobody asked for {other}"),
        }
    }
    let mut ended = Vec::new();
    for job in jobs {
        let end = ends.get(&job).unwrap_or_else(|| panic!("L10: a hold outlives its job: {job}"));
        let how = check_job(world, account, &job, held_at[&job], end).await;
        ended.push(Ended { job, how });
    }
    let shown: (i64, Value) =
        sqlx::query_as("select held, lots from read_models.credit_balance_v1 where ledger_id = $1")
            .bind(format!("{account}:live"))
            .fetch_one(&world.database.pool)
            .await
            .expect("a balance");
    assert_eq!(shown.0, 0, "nothing is held at rest");
    assert!(balance >= 0, "a negative balance");
    let paid = ended.iter().filter(|ended| ended.how == "GenerationSucceeded").count();
    assert_eq!(balance, 500 - 100 * i64::try_from(paid).expect("a few"), "no free generation, no double charge");
    no_job_without_a_hold(world, account, &held_at).await;
    ended
}

async fn no_job_without_a_hold(world: &World, account: AccountId, held: &BTreeMap<String, i64>) {
    let requested = "select aggregate_id from events where event_type = 'GenerationRequested' \
                     and payload->'GenerationRequested'->>'account_id' = $1";
    let requested: Vec<String> = sqlx::query_scalar(requested)
        .bind(account.to_string())
        .fetch_all(&world.database.pool)
        .await
        .expect("the log answers");
    assert!(requested.iter().all(|job| held.contains_key(job)), "a job without a hold");
}

async fn check_job(world: &World, account: AccountId, job: &str, held_at: i64, end: &Fact) -> String {
    let story = stream(world, "Generation", job).await;
    let names: Vec<&str> = story.iter().map(|fact| fact.name.as_str()).collect();
    let first = story.first().unwrap_or_else(|| panic!("a hold whose id is neither a job nor closed: {job}"));
    let is_end = |name: &str| {
        ["GenerationSucceeded", "GenerationFailed", "GenerationCancelled", "GenerationAbandoned"].contains(&name)
    };
    let how: Vec<&Fact> = story.iter().filter(|fact| is_end(&fact.name)).collect();
    assert_eq!(how.len(), 1, "every job ends, once: {names:?}");
    let how = how[0];
    assert!(how.position < end.position, "first the job ends, then its hold: {names:?}");
    if how.name == "GenerationAbandoned" {
        assert_eq!(names, ["GenerationAbandoned"], "a closed id stays closed");
    } else {
        assert_eq!(names[0], "GenerationRequested");
        assert!(first.position > held_at, "the hold comes first");
    }
    if how.name == "GenerationSucceeded" {
        assert_eq!((end.name.as_str(), &end.said["captured"]), ("HoldCaptured", &json!(100)), "L22: {names:?}");
        let outputs = how.said["outputs"].as_array().expect("outputs");
        assert_eq!(outputs.len(), 1);
        for output in outputs {
            let object = output["object"].as_str().expect("an object");
            assert!(world.has_object(object), "delivered and not there: {object}");
        }
    } else {
        assert_eq!(end.name, "HoldVoided", "never charged: {names:?}");
        assert!(!world.has_files(account, job), "files of a job that was not delivered: {names:?}");
    }
    for (table, column) in [("process_states", "instance"), ("process_work", "payload->>'generation'")] {
        let left = count(world, &format!("select count(*) from {table} where {column} = $1"), job).await;
        assert_eq!(left, 0, "nothing is left in {table}: {names:?}");
    }
    let took = how.decided_at - first.decided_at;
    let told = ["GenerationSucceeded", "GenerationFailed"].contains(&how.name.as_str());
    check_notice(world, job, told && took > TimeDelta::seconds(60)).await;
    how.name.clone()
}

/// A33: exactly one notice, however often it was handed over.
async fn check_notice(world: &World, job: &str, expected: bool) {
    let id = format!("generation-notice-{job}");
    let handed_over: Vec<String> = world.sent().into_iter().filter(|sent| sent.contains(job)).collect();
    assert!(handed_over.iter().all(|sent| *sent == id), "one stable id: {handed_over:?}");
    assert_eq!(!handed_over.is_empty(), expected, "A33: the notice of {job}");
    let folder = std::fs::read_dir(world.data.path().join("mailbox")).expect("the mailbox");
    let shown = folder.filter(|mail| mail.as_ref().is_ok_and(|mail| mail.file_name().to_string_lossy().contains(&id)));
    assert_eq!(shown.count(), usize::from(expected), "the receiver sees one");
}
