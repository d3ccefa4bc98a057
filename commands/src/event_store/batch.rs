//! One call of the append function: a batch of appends as arrays, and its verdicts.

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

use super::{Append, AppendError, Appended, Position};

const CALL: &str = "select append, verdict, last_position, stored_result from append_events(\
    $1::int4[], $2::text[], $3::text[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::timestamptz[], \
    $11::int4[], $12::uuid[], $13::text[], $14::bytea[], $15::text[])";

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
    key_appends: Vec<i32>,
    key_accounts: Vec<Uuid>,
    keys: Vec<&'a str>,
    fingerprints: Vec<&'a [u8]>,
    results: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(batch: &[&'a Append]) -> Self {
        let mut columns = Self::default();
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
}

/// What one append of a batch came to.
pub(super) type Verdict = Result<Appended, AppendError>;

/// Sends a batch in one autocommitted call; on success there is one verdict per append, in order.
pub(super) async fn send(client: &Client, call: &Statement, batch: &[&Append]) -> Result<Vec<Verdict>, Error> {
    let c = Columns::of(batch);
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
                &c.key_appends,
                &c.key_accounts,
                &c.keys,
                &c.fingerprints,
                &c.results,
            ],
        )
        .await?;
    let mut verdicts = vec![Err(AppendError::OutcomeUnknown); batch.len()];
    for row in rows {
        let number: i32 = row.try_get(0)?;
        let position = Position(row.try_get::<_, Option<i64>>(2)?.unwrap_or_default());
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
