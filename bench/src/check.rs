//! What must hold after every round, so that nothing is fast by losing work.

use std::collections::HashMap;

use atelier_domain::credit_ledger::CreditLedgerEvent;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::{Connection, PgConnection, Row};

use crate::Fallible;
use crate::balance::Balance;
use crate::postgres::{Database, Schema};
use crate::stock;

/// What the log of a round held.
#[derive(Debug, Default)]
pub struct Checked {
    /// Every ledger's balance.
    pub balances: HashMap<String, Balance>,
    /// How many lines the histories must have: one for each grant and each hold.
    lines: i64,
    /// How many batches wrote what clients appended; 0 for stock.
    batches: u64,
}

impl Checked {
    /// The mean number of events of one commit, if the log tells.
    pub fn batch(&self, appended: u64) -> Option<f64> {
        (self.batches > 0).then(|| appended as f64 / self.batches as f64)
    }
}

/// Reads the whole log: as many events as were acknowledged and preloaded, each stream without a gap, positions dense, the
/// entries of every event balanced, no balance negative at any prefix. `before` events were there when the clients began.
pub async fn log(on: &Database, schema: Schema, before: u64, acknowledged: u64) -> Fallible<Checked> {
    let all = match schema {
        Schema::Stock => {
            "select aggregate_id, sequence, payload::text, 0::bigint, null::timestamptz from events order by aggregate_id, sequence"
        }
        Schema::Atelier => {
            "select aggregate_id, sequence, payload::text, position, recorded_at from events order by position"
        }
    };
    let mut connection = PgConnection::connect(&on.superuser_url).await?;
    let mut checked = Checked::default();
    let mut streams: HashMap<String, (i64, Balance)> = HashMap::new();
    let (mut events, mut last_stamp): (u64, Option<DateTime<Utc>>) = (0, None);
    let mut rows = sqlx::query(all).fetch(&mut connection);
    while let Some(row) = rows.try_next().await? {
        events += 1;
        let (id, sequence): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        let event: CreditLedgerEvent = serde_json::from_str(row.try_get(2)?)?;
        if !streams.contains_key(id) {
            streams.insert(id.to_owned(), (0, Balance::default()));
        }
        let (last, balance) = streams.get_mut(id).expect("it was put there if it was not");
        *last += 1;
        balance.apply(&event);
        let sum: i64 = event.entries().iter().map(|entry| entry.amount.get()).sum();
        let position: i64 = row.try_get(3)?;
        let dense = schema == Schema::Stock || u64::try_from(position)? == events;
        if *last != sequence || sum != 0 || !balance.is_sound() || !dense {
            return Err(format!("event {sequence} of {id} at {position}: {balance:?}, entries sum to {sum}").into());
        }
        let placed = matches!(event, CreditLedgerEvent::CreditsGranted { .. } | CreditLedgerEvent::HoldPlaced { .. });
        checked.lines += i64::from(placed);
        let stamp: Option<DateTime<Utc>> = row.try_get(4)?;
        if events > before && stamp != last_stamp {
            checked.batches += 1;
        }
        last_stamp = stamp;
    }
    drop(rows);
    connection.close().await?;
    if events != before + acknowledged {
        return Err(format!("{events} events, but {before} before and {acknowledged} acknowledged").into());
    }
    checked.balances = streams.into_iter().map(|(id, (_, balance))| (id, balance)).collect();
    Ok(checked)
}

/// How many idempotency keys were kept: one for each command that had one.
pub async fn keys(on: &Database, acknowledged: u64) -> Fallible<()> {
    let mut connection = PgConnection::connect(&on.superuser_url).await?;
    let kept: i64 = sqlx::query_scalar("select count(*) from idempotency_keys").fetch_one(&mut connection).await?;
    connection.close().await?;
    if u64::try_from(kept)? == acknowledged {
        Ok(())
    } else {
        Err(format!("{kept} idempotency keys for {acknowledged} commands").into())
    }
}

/// Our read models say what the log says.
pub async fn read_models(on: &Database, log: &Checked) -> Fallible<()> {
    let mut connection = PgConnection::connect(&on.superuser_url).await?;
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select ledger_id, held, (select coalesce(sum((lot ->> 'remaining')::bigint), 0)::bigint from jsonb_array_elements(lots) lot) \
         from read_models.credit_balance_v1",
    )
    .fetch_all(&mut connection)
    .await?;
    let lines: i64 = sqlx::query_scalar("select count(*) from read_models.transaction_history_v1")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    let said: HashMap<String, Balance> =
        rows.into_iter().map(|(id, held, available)| (id, Balance { available, held })).collect();
    if said == log.balances && lines == log.lines {
        Ok(())
    } else {
        Err(format!("the read models differ from the log ({lines} lines of history, not {})", log.lines).into())
    }
}

/// How many of the stock system's balance views differ from the log: what its lost updates come to.
pub async fn wrong_stock_views(on: &Database, log: &Checked) -> Fallible<usize> {
    let said = stock::balances(on).await?;
    Ok(log.balances.iter().filter(|(id, balance)| said.get(*id) != Some(balance)).count())
}
