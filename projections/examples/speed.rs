//! Throwaway: how fast models follow.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::credit_ledger::*;
use atelier_domain::*;
use atelier_projections::models::{credit_balance::CreditBalance, transaction_history::TransactionHistory};
use atelier_projections::{Feed, Projection, Runner, RunnerOptions};
use chrono::{DateTime, TimeDelta};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const GRANT_VERSION: &str = "2";
const LEDGERS: usize = 1000;

async fn fill(pool: &sqlx::PgPool, events: usize) {
    let have: i64 = sqlx::query_scalar("select coalesce(max(position),0) from events").fetch_one(pool).await.unwrap();
    if have > 0 { return }
    let start = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    let id = |kind: u128, n: usize| Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0000 + ((n as u128) << 64) + (kind << 48) + (n as u128 * 0x9e37_79b9) % 0xffff_ffff);
    let mut seq = vec![0i64; LEDGERS];
    let mut open = vec![None::<usize>; LEDGERS];
    let (mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h) = (vec![], vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    let meta = r#"{"actor":"account:00000000-0000-0000-0000-000000000001","correlation_id":"00000000-0000-0000-0000-000000000001","causation_id":"00000000-0000-0000-0000-000000000001"}"#;
    for n in 0..events {
        let l = if n < LEDGERS { n } else { (n.wrapping_mul(7919) + n / LEDGERS) % LEDGERS };
        let ledger = LedgerId::live(AccountId(id(1, l)));
        let lot = LedgerAccount::Lot(LotId(id(2, l)));
        let entries = |v: &[(LedgerAccount, i64)]| v.iter().map(|(a, n)| Entry::new(*a, Credits::new(*n))).collect::<Vec<_>>();
        let event = if seq[l] == 0 {
            CreditLedgerEvent::CreditsGranted { reason: GrantReason::PlanCycle, lot_id: LotId(id(2, l)), source: GrantSource::Purchased, amount: Credits::new(1_000_000), expires_at: None, entries: entries(&[(LedgerAccount::IssuedPurchased, -1_000_000), (lot, 1_000_000)]) }
        } else if let Some(hold) = open[l].take() {
            CreditLedgerEvent::HoldCaptured { hold_id: HoldId(id(3, hold)), generation_id: GenerationId(id(3, hold)), captured: Credits::new(3), price_version: 1, entries: entries(&[(LedgerAccount::Held, -4), (LedgerAccount::Consumed, 3), (lot, 1)]) }
        } else {
            open[l] = Some(n);
            CreditLedgerEvent::HoldPlaced { hold_id: HoldId(id(3, n)), generation_id: GenerationId(id(3, n)), amount: Credits::new(4), price_version: 1, entries: entries(&[(lot, -4), (LedgerAccount::Held, 4)]) }
        };
        seq[l] += 1;
        a.push(ledger.to_string()); b.push(seq[l]); c.push(event.name().to_owned()); d.push(serde_json::to_string(&event).unwrap());
        e.push(id(9, n)); f.push(start + TimeDelta::milliseconds(n as i64)); g.push(a.len() as i32); h.push(());
        if a.len() == 5000 || n + 1 == events {
            sqlx::query("insert into events select 'CreditLedger', a, b, c, case c when 'CreditsGranted' then $10 else '1' end, d::json, $6::json, $9 + g, e, f, now() from unnest($2::text[], $3::int8[], $4::text[], $5::text[], $7::uuid[], $8::timestamptz[], $1::int4[]) u(a,b,c,d,e,f,g)")
                .bind(&g).bind(&a).bind(&b).bind(&c).bind(&d).bind(meta).bind(&e).bind(&f).bind((n + 1 - a.len()) as i64).bind(GRANT_VERSION).execute(pool).await.unwrap();
            a.clear(); b.clear(); c.clear(); d.clear(); e.clear(); f.clear(); g.clear();
        }
    }
}

fn cpu() -> f64 { // user+system of this process, s
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let v: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (v[11].parse::<f64>().unwrap() + v[12].parse::<f64>().unwrap()) / 100.0
}

fn pg() -> f64 {
    let pm = std::env::var("PM").unwrap();
    let mut sum = 0.0;
    for e in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(s) = std::fs::read_to_string(e.path().join("stat")) else { continue };
        let v: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
        if v[1] == pm { sum += v[11].parse::<f64>().unwrap() + v[12].parse::<f64>().unwrap(); }
    }
    sum / 100.0
}

#[tokio::main]
async fn main() {
    let url = std::env::var("URL").unwrap();
    let owner = std::env::var("OWNER").unwrap();
    let tables = std::env::var("TABLES").unwrap();
    let pool = PgPoolOptions::new().max_connections(8).test_before_acquire(false).connect(&url).await.unwrap();
    let own = PgPoolOptions::new().max_connections(1).connect(&owner).await.unwrap();
    fill(&own, 400_000).await;
    let head: i64 = sqlx::query_scalar("select max(position) from events").fetch_one(&pool).await.unwrap();
    for _ in 0..3 { replay(&pool, head).await; }
    let batches: Vec<usize> = std::env::var("BATCH").unwrap_or("500,2000,4000".into()).split(',').map(|b| b.parse().unwrap()).collect();
    let sets: Vec<(&str, Vec<Arc<dyn Projection>>)> = vec![("balance", vec![Arc::new(CreditBalance)]), ("history", vec![Arc::new(TransactionHistory)]), ("both", vec![Arc::new(CreditBalance), Arc::new(TransactionHistory)])];
    for batch in batches {
        for (name, set) in sets.iter().filter(|s| std::env::var("ONLY").map_or(true, |o| o == s.0)) {
            for table in tables.split(',') { sqlx::query(&format!("truncate {table}")).execute(&own).await.unwrap(); }
            sqlx::query("delete from checkpoints").execute(&own).await.unwrap();
            sqlx::query("checkpoint").execute(&own).await.unwrap();
            let options = RunnerOptions { batch, ..RunnerOptions::default() };
            let runner = Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), set.clone(), options));
            runner.register().await.unwrap();
            let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
            let (t, c, p) = (Instant::now(), cpu(), pg());
            runner.start(&tasks, &stop);
            while sqlx::query_scalar::<_, i64>("select min(position) from checkpoints").fetch_one(&pool).await.unwrap() < head { tokio::time::sleep(Duration::from_millis(10)).await; }
            let s = t.elapsed().as_secs_f64();
            println!("{name} batch {batch}: {:.0} events/s, own cpu {:.2} pg cpu {:.2} us/event", head as f64 / s, (cpu() - c) * 1e6 / head as f64, (pg() - p) * 1e6 / head as f64);
            stop.cancel(); tasks.close(); tasks.wait().await;
        }
    }
}

#[derive(serde::Deserialize)]
struct En<'a> { #[serde(borrow)] account: &'a str, amount: i64 }
#[derive(serde::Deserialize)]
struct Body<'a> { #[serde(borrow)] entries: Vec<En<'a>> }
/// The one value of `{"Name": body}`.
struct Only<'a>(Body<'a>);
impl<'de: 'a, 'a> serde::Deserialize<'de> for Only<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> serde::de::Visitor<'de> for V {
            type Value = Only<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut m: A) -> Result<Only<'de>, A::Error> {
                let (_, b): (&str, Body<'de>) = m.next_entry()?.unwrap();
                Ok(Only(b))
            }
        }
        d.deserialize_map(V)
    }
}
async fn replay(pool: &sqlx::PgPool, head: i64) {
    use futures::TryStreamExt;
    let replay = atelier_projections::Replay::new(pool.clone());
    let (t, c, p) = (Instant::now(), cpu(), pg());
    let mut ranges = std::pin::pin!(replay.read(1..=head, Some("CreditLedger"), |event| {
        let Only(body) = serde_json::from_str::<Only>(event.payload).unwrap();
        let (mut available, mut held) = (0, 0);
        for e in &body.entries { if e.account == "held" { held += e.amount } else if e.account.starts_with("lot:") { available += e.amount } }
        (Uuid::try_parse(&event.aggregate_id[..36]).unwrap(), available, held)
    }));
    let mut sums = std::collections::HashMap::new();
    let mut n = 0;
    while let Some(range) = ranges.try_next().await.unwrap() {
        for (ledger, a, h) in range { let s = sums.entry(ledger).or_insert((0i64, 0i64)); s.0 += a; s.1 += h; n += 1; }
    }
    let s = t.elapsed().as_secs_f64();
    println!("replay {n} events {} ledgers: {:.0} events/s, own cpu {:.2} pg {:.2} us/event", sums.len(), n as f64 / s, (cpu() - c) * 1e6 / n as f64, (pg() - p) * 1e6 / n as f64);
    let (t, c, p) = (Instant::now(), cpu(), pg());
    let mut ranges = std::pin::pin!(replay.envelopes(1..=head));
    let mut n = 0;
    while let Some(range) = ranges.try_next().await.unwrap() { n += range.events.len(); }
    let s = t.elapsed().as_secs_f64();
    println!("envelopes {n}: {:.0} events/s, own cpu {:.2} pg {:.2} us/event", n as f64 / s, (cpu() - c) * 1e6 / n as f64, (pg() - p) * 1e6 / n as f64);
}
