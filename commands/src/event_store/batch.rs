//! One call of the append function: a batch of appends as arrays, and its verdicts.

use std::collections::HashMap;

use atelier_domain::EventId;
use atelier_log::Expected;
use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

use super::{Append, AppendError, Appended, Position};

const CALL: &str = "select append, verdict, last_position, stored_result from append_events(\
    $1::int4[], $2::text[], $3::text[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::timestamptz[], \
    $11::int4[], $12::uuid[], $13::int4[], $14::uuid[], $15::text[], $16::bytea[], $17::text[], \
    $18::uuid, $19::int8, $20::uuid)";

/// Prepares the call once per connection.
pub(super) async fn prepare(client: &Client) -> Result<Statement, Error> {
    client.prepare(CALL).await
}

#[derive(Default)]
struct Columns<'a> {
    appends: Vec<i32>,
    aggregate_types: Vec<&'a str>,
    aggregate_ids: Vec<&'a str>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    event_versions: Vec<&'a str>,
    payloads: Vec<&'a str>,
    metadatas: Vec<&'a str>,
    event_ids: Vec<Uuid>,
    decided_ats: Vec<DateTime<Utc>>,
    stand_appends: Vec<i32>,
    stands_on: Vec<Uuid>,
    key_appends: Vec<i32>,
    key_accounts: Vec<Uuid>,
    keys: Vec<&'a str>,
    fingerprints: Vec<&'a [u8]>,
    results: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(batch: &[&'a Append], era: u64) -> Self {
        let mut columns = Self::default();
        columns.predecessors(batch, era);
        for (number, append) in (0_i32..).zip(batch) {
            for (sequence, event) in (append.expected_sequence + 1..).zip(&append.events) {
                columns.appends.push(number);
                columns.aggregate_types.push(append.stream.aggregate_type);
                columns.aggregate_ids.push(&append.stream.aggregate_id);
                columns.sequences.push(sequence);
                columns.event_types.push(&event.event_type);
                columns.event_versions.push(&event.event_version);
                columns.payloads.push(&event.payload);
                columns.metadatas.push(&event.metadata);
                columns.event_ids.push(event.event_id.0);
                columns.decided_ats.push(event.decided_at);
            }
            if let Some(key) = &append.key {
                columns.key_appends.push(number);
                columns.key_accounts.push(key.account.0);
                columns.keys.push(&key.key);
                columns.fingerprints.push(&key.fingerprint);
                columns.results.push(&key.result);
            }
        }
        columns
    }

    /// What an append stands on needs no looking for when it was durable in this era, or is in the same batch: then it is written
    /// with it, or both fail.
    fn predecessors(&mut self, batch: &[&'a Append], era: u64) {
        if batch.iter().all(|append| append.stands_on.is_none() || append.durable_in == Some(era)) {
            return;
        }
        let mut last = HashMap::new();
        for (number, append) in (0_i32..).zip(batch) {
            let before = last.insert(&append.stream, append.events.last().map(|event| event.event_id)).flatten();
            let known = |id: &EventId| append.durable_in == Some(era) || before == Some(*id);
            if let Some(event_id) = append.stands_on.filter(|id| !known(id)) {
                self.stand_appends.push(number);
                self.stands_on.push(event_id.0);
            }
        }
    }
}

/// What one append of a batch came to.
pub(super) type Verdict = Result<Appended, AppendError>;

/// Sends a batch in one autocommitted call, for the log that is expected; on success there is one verdict per append, in order.
pub(super) async fn send(
    client: &Client,
    call: &Statement,
    batch: &[&Append],
    era: u64,
    log: &Expected,
) -> Result<Vec<Verdict>, Error> {
    let c = Columns::of(batch, era);
    let rows = client
        .query(
            call,
            &[
                &c.appends,
                &c.aggregate_types,
                &c.aggregate_ids,
                &c.sequences,
                &c.event_types,
                &c.event_versions,
                &c.payloads,
                &c.metadatas,
                &c.event_ids,
                &c.decided_ats,
                &c.stand_appends,
                &c.stands_on,
                &c.key_appends,
                &c.key_accounts,
                &c.keys,
                &c.fingerprints,
                &c.results,
                &log.branch.0,
                &log.position,
                &log.event,
            ],
        )
        .await?;
    let mut verdicts = vec![Err(AppendError::OutcomeUnknown); batch.len()];
    for row in rows {
        let position = Position::of(log.branch, row.try_get::<_, Option<i64>>(2)?.unwrap_or_default());
        let Some(number) = row.try_get::<_, Option<i32>>(0)? else {
            return Ok(all_written(position, batch));
        };
        let verdict = match row.try_get(1)? {
            "written" | "ours" => Ok(Appended::Written { position }),
            "repeat" => {
                Ok(Appended::Repeat { result: row.try_get::<_, Option<String>>(3)?.unwrap_or_default(), position })
            }
            "other_body" => Err(AppendError::KeyReused),
            _ => Err(AppendError::Conflict),
        };
        if let Some(slot) = usize::try_from(number).ok().and_then(|n| verdicts.get_mut(n)) {
            *slot = verdict;
        }
    }
    Ok(verdicts)
}

/// The positions of a batch that was written whole, from that of its last event.
fn all_written(last: Position, batch: &[&Append]) -> Vec<Verdict> {
    let sizes = || batch.iter().map(|append| i64::try_from(append.events.len()).unwrap_or(0));
    let mut number = last.number - sizes().sum::<i64>();
    sizes()
        .map(|size| {
            number += size;
            Ok(Appended::Written { position: Position::of(last.branch, number) })
        })
        .collect()
}

/// The events that a batch has in the log now, with their positions.
pub(super) fn written(batch: &[&Append], verdicts: &[Verdict]) -> Vec<(i64, Uuid)> {
    let mut events = Vec::new();
    for (append, verdict) in batch.iter().zip(verdicts) {
        if let Ok(Appended::Written { position }) = verdict {
            let before = position.number - i64::try_from(append.events.len()).unwrap_or(0);
            events.extend((before + 1..).zip(append.events.iter().map(|event| event.event_id.0)));
        }
    }
    events
}
