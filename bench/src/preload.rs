//! Logs with a past: the events real decisions would have made, written into both systems' tables by COPY before the clock runs.

use atelier_commands::ports::Clock;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerEvent, GrantReason, HoldLimits};
use atelier_domain::{AccountId, Actor, Credits, EventMetadata, GenerationId, HoldId, LotId};
use atelier_server::system::SystemClock;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::Fallible;
use crate::dice::Dice;
use crate::postgres::{Database, Schema};
use crate::workload::{GRANTED, Ledger};

/// What is sent at once, in bytes.
const CHUNK: usize = 1 << 20;

/// How much past.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    /// How many ledgers, their events in random order in the log.
    pub ledgers: usize,
    /// How many events each has; the last one leaves no hold open.
    pub events_each: usize,
    /// When it began: an event each millisecond from then on.
    pub since: DateTime<Utc>,
}

impl Past {
    /// A past that ended before now.
    pub fn of(ledgers: usize, events_each: usize) -> Self {
        let length = i64::try_from(ledgers * events_each).unwrap_or(0);
        Self { ledgers, events_each, since: SystemClock.now() - TimeDelta::milliseconds(length) - TimeDelta::hours(1) }
    }

    /// All events.
    pub const fn events(&self) -> usize {
        self.ledgers * self.events_each
    }
}

/// A past that was written.
#[derive(Debug)]
pub struct Written {
    /// Its ledgers.
    pub ledgers: Vec<Ledger>,
    /// All its events.
    pub events: usize,
}

/// A ledger in the making.
struct Growing {
    ledger: Ledger,
    state: CreditLedger,
    sequence: usize,
    open: Option<HoldId>,
}

impl Growing {
    /// The next event of its life: a grant, one more if that makes the rest even, then holds and captures in turn.
    async fn next(&mut self, events_each: usize, dice: &mut Dice, now: DateTime<Utc>) -> Fallible<CreditLedgerEvent> {
        self.sequence += 1;
        let grant = self.sequence == 1 || (self.sequence == 2 && events_each.is_multiple_of(2));
        let id = dice.id(now);
        let price = Credits::new(1 + i64::try_from(dice.below(9))?);
        let command = match self.open.take() {
            None if grant => CreditLedgerCommand::GrantCredits {
                lot_id: LotId(id),
                reason: GrantReason::Gift,
                amount: GRANTED,
                expires_at: None,
                now,
            },
            None => {
                self.open = Some(HoldId(id));
                let generation_id = GenerationId(id);
                CreditLedgerCommand::PlaceHold {
                    hold_id: HoldId(id),
                    generation_id,
                    amount: price,
                    price_version: 1,
                    limits: HoldLimits::default(),
                    now,
                }
            }
            Some(hold_id) => {
                let amount = self.state.hold(&hold_id).map_or(Credits::ZERO, |hold| hold.amount());
                CreditLedgerCommand::CaptureHold { hold_id, amount, now }
            }
        };
        // The sink applies what it takes to the state.
        let sink = EventSink::<CreditLedger>::default();
        self.state.handle(command, &(), &sink).await?;
        sink.collect().await.pop().ok_or_else(|| "a decision without an event".into())
    }
}

/// Writes a past into an empty database; the same past twice is the same events.
pub async fn write(on: &Database, schema: Schema, past: Past) -> Fallible<Written> {
    let mut dice = Dice::new(0x9a57);
    let mut ledgers: Vec<Growing> = (0..past.ledgers)
        .map(|_| Growing {
            ledger: Ledger::new(AccountId(dice.id(past.since))),
            state: CreditLedger::default(),
            sequence: 0,
            open: None,
        })
        .collect();
    let pool = PgPool::connect(&on.superuser_url).await?;
    let mut copy = pool.copy_in_raw(statement(schema)).await?;
    let mut alive: Vec<usize> = (0..past.ledgers).collect();
    let mut lines = String::with_capacity(CHUNK + 4096);
    let mut position = 0;
    while !alive.is_empty() {
        let place = dice.below(alive.len());
        let growing = &mut ledgers[alive[place]];
        position += 1;
        let now = past.since + TimeDelta::milliseconds(position);
        let event = growing.next(past.events_each, &mut dice, now).await?;
        line(&mut lines, schema, growing, &event, position, (now, &mut dice))?;
        if growing.sequence == past.events_each {
            alive.swap_remove(place);
        }
        if lines.len() >= CHUNK {
            copy.send(lines.as_bytes()).await?;
            lines.clear();
        }
    }
    copy.send(lines.as_bytes()).await?;
    let copied = copy.finish().await?;
    pool.close().await;
    if copied != past.events() as u64 {
        return Err(format!("{copied} of {} events were written", past.events()).into());
    }
    // Readers then need not settle who sees which row.
    let mut connection = PgConnection::connect(&on.superuser_url).await?;
    connection.execute("vacuum (analyze) events").await?;
    connection.close().await?;
    Ok(Written { ledgers: ledgers.into_iter().map(|growing| growing.ledger).collect(), events: past.events() })
}

const fn statement(schema: Schema) -> &'static str {
    match schema {
        Schema::Stock => {
            "copy events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) from stdin"
        }
        Schema::Atelier => {
            "copy events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position, event_id, \
             decided_at, recorded_at) from stdin"
        }
    }
}

/// One line of COPY's text form; nothing in it needs an escape.
fn line(
    lines: &mut String,
    schema: Schema,
    of: &Growing,
    event: &CreditLedgerEvent,
    position: i64,
    (now, dice): (DateTime<Utc>, &mut Dice),
) -> Fallible<()> {
    use std::fmt::Write;
    let request = dice.id(now);
    let actor = Actor::Account(of.ledger.account);
    let metadata = serde_json::to_string(&EventMetadata { actor, correlation_id: request, causation_id: request })?;
    let payload = serde_json::to_string(event)?;
    let (kind, version) = (event.event_type(), event.event_version());
    let (aggregate, id, sequence) = (CreditLedger::TYPE, &of.ledger.id, of.sequence);
    write!(lines, "{aggregate}\t{id}\t{sequence}\t{kind}\t{version}\t{payload}\t{metadata}")?;
    // Drawn for both, so that both have the same past.
    let event_id = dice.id(now);
    if schema == Schema::Atelier {
        let at = now.to_rfc3339();
        write!(lines, "\t{position}\t{event_id}\t{at}\t{at}")?;
    }
    lines.push('\n');
    Ok(())
}
