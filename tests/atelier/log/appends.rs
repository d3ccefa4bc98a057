//! Appends for tests: small events of a made-up aggregate, with ids that no two processes share.

use std::sync::atomic::{AtomicU64, Ordering};

use atelier_commands::event_store::{Append, AppendError, Appended, IdempotencyKey, NewEvent, Position, StreamId};
use atelier_domain::{AccountId, EventId};
use chrono::DateTime;
use uuid::Uuid;

/// The verdict of an append.
pub type Verdict = Result<Appended, AppendError>;

/// A stream of the made-up aggregate.
pub fn stream(id: &str) -> StreamId {
    StreamId { aggregate_type: "Sample", aggregate_id: id.to_owned() }
}

/// An id that is used once: by this process, and by no other that lives at the same time.
pub fn fresh_id() -> Uuid {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u64_pair(u64::from(std::process::id()), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// An event with this payload.
pub fn event(payload: &str) -> NewEvent {
    NewEvent {
        event_id: EventId(fresh_id()),
        event_type: "Happened".to_owned(),
        event_version: "1".to_owned(),
        payload: payload.to_owned(),
        metadata: r#"{"actor":"operator"}"#.to_owned(),
        decided_at: DateTime::from_timestamp_micros(1_750_000_000_123_456).expect("an instant"),
    }
}

/// An append of one event.
pub fn append(id: &str, expected_sequence: i64) -> Append {
    append_of(id, expected_sequence, vec![event(r#"{"Happened":{}}"#)])
}

/// An append of several events.
pub fn append_many(id: &str, expected_sequence: i64, number: usize) -> Append {
    append_of(id, expected_sequence, (0..number).map(|n| event(&format!("{{\"n\":{n}}}"))).collect())
}

/// An append of one event with this payload.
pub fn append_payload(id: &str, expected_sequence: i64, payload: &str) -> Append {
    append_of(id, expected_sequence, vec![event(payload)])
}

fn append_of(id: &str, expected_sequence: i64, events: Vec<NewEvent>) -> Append {
    Append { stream: stream(id), expected_sequence, stands_on: None, durable_in: None, events, key: None }
}

/// The same append, decided on an event that was still on its way: it is written only on top of that one.
pub fn on_top_of(event_id: Uuid, append: Append) -> Append {
    Append { stands_on: Some(EventId(event_id)), ..append }
}

/// The same append with an idempotency key; `body` stands for the request's meaning.
pub fn keyed(append: Append, account: AccountId, key: &str, body: u8, result: &str) -> Append {
    let (key, result) = (key.to_owned(), result.to_owned());
    let key = IdempotencyKey { account, key, clear: None, fingerprint: [body; 32], result };
    Append { key: Some(key), ..append }
}

/// The position of an append that must have been written.
#[track_caller]
pub fn written(verdict: Verdict) -> Position {
    match verdict {
        Ok(Appended::Written { position }) => position,
        other => panic!("not written: {other:?}"),
    }
}

/// The ids of an append's events.
pub fn ids(append: &Append) -> Vec<Uuid> {
    append.events.iter().map(|event| event.event_id.0).collect()
}
