//! The credit ledger's tests: given/when/then per command, and a model-based property over random histories.

mod budgets;
mod burn_order;
mod damaged;
mod expiry;
mod grants;
mod holds;
mod memory;
mod model;
mod operations;
mod reference;
mod simulation;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use uuid::Uuid;

use super::*;
use crate::account::SpendCaps;
use crate::{ApiKeyId, Credits, Decide, GenerationId, HoldId, LotId, PaymentId};

/// Milliseconds on the virtual clock.
fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds(millis)
}

fn lot(n: u128) -> LotId {
    LotId(Uuid::from_u128(n))
}

fn hold(n: u128) -> HoldId {
    HoldId(Uuid::from_u128(n))
}

fn key(n: u128) -> ApiKeyId {
    ApiKeyId(Uuid::from_u128(n))
}

fn line(account: LedgerAccount, amount: i64) -> Entry {
    Entry::new(account, Credits::new(amount))
}

/// A reason that grants this kind of credits; each lot's payment is its own.
fn reason(n: u128, source: GrantSource) -> GrantReason {
    match source {
        GrantSource::Promotional => GrantReason::Gift,
        GrantSource::Plan => GrantReason::PlanCycle,
        GrantSource::Purchased => GrantReason::Payment { payment_id: PaymentId(Uuid::from_u128(n)) },
    }
}

fn grant(n: u128, source: GrantSource, amount: i64, expires: Option<i64>, now: i64) -> CreditLedgerCommand {
    let (amount, expires_at) = (Credits::new(amount), expires.map(at));
    CreditLedgerCommand::GrantCredits { lot_id: lot(n), reason: reason(n, source), amount, expires_at, now: at(now) }
}

fn place(n: u128, amount: i64, now: i64) -> CreditLedgerCommand {
    let (hold_id, amount) = (hold(n), Credits::new(amount));
    CreditLedgerCommand::PlaceHold {
        hold_id,
        generation_id: hold_id.into(),
        amount,
        price_version: 1,
        limits: HoldLimits::default(),
        now: at(now),
    }
}

fn capture(n: u128, amount: i64, now: i64) -> CreditLedgerCommand {
    CreditLedgerCommand::CaptureHold { hold_id: hold(n), amount: Credits::new(amount), now: at(now) }
}

fn void(n: u128, now: i64) -> CreditLedgerCommand {
    CreditLedgerCommand::VoidHold { hold_id: hold(n), now: at(now) }
}

fn expire(n: u128, now: i64) -> CreditLedgerCommand {
    CreditLedgerCommand::ExpireLot { lot_id: lot(n), now: at(now) }
}

fn granted(n: u128, source: GrantSource, amount: i64, expires: Option<i64>) -> CreditLedgerEvent {
    let issued = match source {
        GrantSource::Promotional | GrantSource::Plan => LedgerAccount::IssuedPromotional,
        GrantSource::Purchased => LedgerAccount::IssuedPurchased,
    };
    let entries = vec![line(issued, -amount), line(LedgerAccount::Lot(lot(n)), amount)];
    let (amount, expires_at) = (Credits::new(amount), expires.map(at));
    CreditLedgerEvent::CreditsGranted { lot_id: lot(n), source, reason: reason(n, source), amount, expires_at, entries }
}

fn lot_lines<'a>(parts: &'a [(u128, i64)], sign: i64) -> impl Iterator<Item = Entry> + 'a {
    parts.iter().map(move |(n, amount)| line(LedgerAccount::Lot(lot(*n)), sign * amount))
}

/// A hold made of these lots and amounts.
fn placed(n: u128, parts: &[(u128, i64)]) -> CreditLedgerEvent {
    let amount = parts.iter().map(|(_, amount)| amount).sum();
    let entries = lot_lines(parts, -1).chain([line(LedgerAccount::Held, amount)]).collect();
    let generation_id = hold(n).into();
    CreditLedgerEvent::HoldPlaced {
        hold_id: hold(n),
        generation_id,
        amount: Credits::new(amount),
        price_version: 1,
        budget: None,
        entries,
    }
}

/// A hold captured, with these lots getting these amounts back.
fn captured(n: u128, captured: i64, back: &[(u128, i64)]) -> CreditLedgerEvent {
    let held = captured + back.iter().map(|(_, amount)| amount).sum::<i64>();
    let mut entries = vec![line(LedgerAccount::Held, -held)];
    if captured != 0 {
        entries.push(line(LedgerAccount::Consumed, captured));
    }
    entries.extend(lot_lines(back, 1));
    let (hold_id, generation_id, captured) = (hold(n), hold(n).into(), Credits::new(captured));
    CreditLedgerEvent::HoldCaptured { hold_id, generation_id, captured, price_version: 1, entries }
}

fn voided(n: u128, back: &[(u128, i64)]) -> CreditLedgerEvent {
    let held = back.iter().map(|(_, amount)| amount).sum::<i64>();
    let entries = [line(LedgerAccount::Held, -held)].into_iter().chain(lot_lines(back, 1)).collect();
    let (hold_id, generation_id, returned) = (hold(n), hold(n).into(), Credits::new(held));
    CreditLedgerEvent::HoldVoided { hold_id, generation_id, returned, entries }
}

fn expired(n: u128, amount: i64) -> CreditLedgerEvent {
    let entries = vec![line(LedgerAccount::Lot(lot(n)), -amount), line(LedgerAccount::Breakage, amount)];
    CreditLedgerEvent::LotExpired { lot_id: lot(n), amount: Credits::new(amount), entries }
}

fn given(events: &[CreditLedgerEvent]) -> AggregateTestExecutor<CreditLedger> {
    TestFramework::with(()).given(events.to_vec())
}

fn folded(events: &[CreditLedgerEvent]) -> CreditLedger {
    events.iter().cloned().fold(CreditLedger::default(), |mut ledger, event| {
        ledger.apply(event);
        ledger
    })
}

/// Decides and applies; the events, or the refusal.
fn perform(
    ledger: &mut CreditLedger,
    command: CreditLedgerCommand,
) -> Result<Vec<CreditLedgerEvent>, CreditLedgerError> {
    let events = ledger.decide(command)?;
    events.iter().cloned().for_each(|event| ledger.apply(event));
    Ok(events)
}

/// The aggregate's own `handle`; it never waits for anything, so one poll is enough.
fn handle(
    ledger: &mut CreditLedger,
    command: CreditLedgerCommand,
) -> Result<Vec<CreditLedgerEvent>, CreditLedgerError> {
    let sink = EventSink::default();
    ready(ledger.handle(command, &(), &sink))?;
    Ok(ready(sink.collect()))
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a decision waited for something"),
    }
}
