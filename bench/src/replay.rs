//! The whole log read in order, decoded and folded to balances: each system by its own reader, behind one function each.

use std::collections::HashMap;
use std::str::FromStr;

use atelier_domain::credit_ledger::CreditLedger;
use atelier_domain::{LedgerId, LogEvent};
use atelier_projections::Replay;
use atelier_server::database;
use cqrs_es::Aggregate;
use cqrs_es::persist::PersistedEventRepository;
use futures::TryStreamExt;
use postgres_es::PostgresEventRepository;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::Fallible;
use crate::balance::Balance;
use crate::postgres::Database;

/// What a replay came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many events were folded.
    pub events: usize,
    /// Every ledger's balance.
    pub balances: HashMap<String, Balance>,
}

/// Ours, in global order: position ranges by binary COPY, every event decoded to the same type that stock decodes to.
pub async fn atelier(on: Database) -> Fallible<Replayed> {
    let pool = database::pool(&on.url, 3).await?;
    let replay = Replay::new(pool.clone());
    let head = replay.head().await?;
    let mut ranges = Box::pin(replay.read(1..=head, Some(CreditLedger::TYPE), |event| {
        LogEvent::decode(event.aggregate_type, event.aggregate_id, event.event_type, event.event_version, event.payload)
    }));
    let mut balances: HashMap<LedgerId, Balance> = HashMap::new();
    let mut events = 0;
    while let Some(range) = ranges.try_next().await? {
        for event in range {
            if let LogEvent::CreditLedger(ledger, event) = event? {
                balances.entry(ledger).or_default().apply(&event);
                events += 1;
            }
        }
    }
    pool.close().await;
    Ok(Replayed { events, balances: balances.into_iter().map(|(id, balance)| (id.to_string(), balance)).collect() })
}

/// Stock's, by `stream_all_events`, its one way to read all events of an aggregate type. It has no global order: it sorts by the
/// sequence within the stream, which is enough for balances. It ends early, silently, on a database error, so the caller counts.
/// The connection has memory enough to sort without touching the disk.
pub async fn stock(on: Database) -> Fallible<Replayed> {
    let options = PgConnectOptions::from_str(&on.url)?.disable_statement_logging().options([("work_mem", "2GB")]);
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
    let repository = PostgresEventRepository::new(pool.clone());
    let mut stream = repository.stream_all_events::<CreditLedger>().await?;
    let mut balances: HashMap<String, Balance> = HashMap::new();
    let mut events = 0;
    while let Some(envelope) = stream.next::<CreditLedger>(&[]).await {
        let envelope = envelope?;
        match balances.get_mut(&envelope.aggregate_id) {
            Some(balance) => balance.apply(&envelope.payload),
            None => balances.entry(envelope.aggregate_id).or_default().apply(&envelope.payload),
        }
        events += 1;
    }
    pool.close().await;
    Ok(Replayed { events, balances })
}
