//! The two ledgers: what is there, and every line of their history, one for each job.

use std::collections::BTreeMap;

use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerEvent, GrantSource};
use atelier_domain::{Credits, Environment, GenerationId, HoldId, LedgerId, LogEvent};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use serde_json::{Value, json};

use super::account::Known;
use super::archive::{Archive, List};
use super::generation_name;
use super::history::History;
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// The most generations in one copy; how many more there are stands in the manifest.
pub(super) const MOST_GENERATIONS: usize = 200_000;

/// What the ledgers know of an account's generations.
#[derive(Default)]
pub(super) struct Jobs {
    /// Oldest first, live ones before tests.
    pub ids: Vec<GenerationId>,
    /// How many more there are.
    pub left_out: u64,
}

/// A hold that has not ended.
struct Open {
    generation: GenerationId,
    amount: Credits,
    price_version: u32,
    at: DateTime<Utc>,
}

/// Both ledgers of an account, live first.
pub(super) const fn ledgers(known: &Known) -> [LedgerId; 2] {
    let account = known.account;
    [LedgerId::live(account), LedgerId { account, environment: Environment::Test }]
}

/// `credits/transactions.json`, in the order in which things were settled, and `credits/balance.json`; and which generations there are.
pub(super) async fn credits(write: &WriteSide, known: &Known, archive: &Archive) -> Result<Jobs, UseCaseError> {
    let (mut jobs, mut balance) = (Jobs::default(), json!({}));
    let mut list = archive.list("credits/transactions.json", false).await?;
    for ledger in ledgers(known) {
        let state = transactions(write, known, ledger, &mut list, &mut jobs).await?;
        balance[ledger.environment.as_str()] = balance_of(&state, known.requested_at);
    }
    list.end().await?;
    archive.json("credits/balance.json", &balance).await?;
    Ok(jobs)
}

async fn transactions(
    write: &WriteSide,
    known: &Known,
    ledger: LedgerId,
    list: &mut List<'_>,
    jobs: &mut Jobs,
) -> Result<CreditLedger, UseCaseError> {
    let mut history = History::of_ledger(write, ledger, known.position);
    let (mut state, mut open) = (CreditLedger::default(), BTreeMap::new());
    while let Some((stored, event)) = history.next().await? {
        let LogEvent::CreditLedger(_, event) = event else { continue };
        if let CreditLedgerEvent::HoldPlaced { generation_id, .. } = &event {
            if jobs.ids.len() < MOST_GENERATIONS { jobs.ids.push(*generation_id) } else { jobs.left_out += 1 }
        }
        if let Some(mut line) = settled(&mut open, &event, stored.decided_at) {
            line["environment"] = json!(ledger.environment.as_str());
            if line["id"].is_null() {
                line["id"] = json!(format!("txn_{}", stored.event_id.0.simple()));
            }
            list.push(&line).await?;
        }
        state.apply(event);
    }
    for (hold, held) in open {
        let mut line = job_line(hold, "held", -held.amount.get(), &held, None);
        line["environment"] = json!(ledger.environment.as_str());
        list.push(&line).await?;
    }
    Ok(state)
}

/// The line that an event settles; a hold has none until it ends.
fn settled(open: &mut BTreeMap<HoldId, Open>, event: &CreditLedgerEvent, at: DateTime<Utc>) -> Option<Value> {
    match event {
        CreditLedgerEvent::CreditsGranted { source, reason, amount, expires_at, .. } => {
            let kind = match source {
                GrantSource::Promotional | GrantSource::Plan => "earned",
                GrantSource::Purchased => "purchased",
            };
            Some(json!({
                "id": null, "kind": kind, "amount": amount.get(), "source": source, "reason": reason, "at": at,
                "expires_at": expires_at,
            }))
        }
        CreditLedgerEvent::HoldPlaced { hold_id, generation_id, amount, price_version, .. } => {
            let (generation, amount, price_version) = (*generation_id, *amount, *price_version);
            open.insert(*hold_id, Open { generation, amount, price_version, at });
            None
        }
        CreditLedgerEvent::HoldCaptured { hold_id, captured, .. } => {
            let held = open.remove(hold_id)?;
            Some(job_line(*hold_id, "spent", -captured.get(), &held, Some(at)))
        }
        CreditLedgerEvent::HoldVoided { hold_id, .. } => {
            let held = open.remove(hold_id)?;
            Some(job_line(*hold_id, "returned", 0, &held, Some(at)))
        }
        CreditLedgerEvent::LotExpired { amount, .. } => {
            Some(json!({ "id": null, "kind": "expired", "amount": -amount.get(), "at": at }))
        }
        CreditLedgerEvent::LedgerClosed { forfeited, .. } => {
            Some(json!({ "id": null, "kind": "forfeited", "amount": -forfeited.get(), "at": at }))
        }
    }
}

fn job_line(hold: HoldId, kind: &str, amount: i64, held: &Open, settled_at: Option<DateTime<Utc>>) -> Value {
    json!({
        "id": format!("txn_{}", hold.0.simple()),
        "kind": kind,
        "amount": amount,
        "generation": generation_name(held.generation),
        "price_version": held.price_version,
        "at": held.at,
        "settled_at": settled_at,
    })
}

/// What can be spent at the request's moment, and what is held.
fn balance_of(state: &CreditLedger, now: DateTime<Utc>) -> Value {
    let there = state.lots().iter().filter(|lot| lot.remaining.is_positive() && !lot.terms.expired(now));
    let lots = there.map(|lot| {
        json!({
            "remaining": lot.remaining.get(),
            "granted": lot.terms.amount.get(),
            "source": lot.terms.source,
            "expires_at": lot.terms.expires_at,
        })
    });
    json!({ "available": state.available(now).get(), "held": state.held().get(), "lots": lots.collect::<Vec<_>>() })
}
