//! Drives a ledger through a history and checks, after every step, the invariants of REQUIREMENTS 2.3 from its events alone.

use std::collections::{BTreeMap, BTreeSet};

use super::operations::Operation;
use super::reference::{Moves, Reference};
use super::*;

pub(super) type Decision = Result<Vec<CreditLedgerEvent>, CreditLedgerError>;
/// The decision under test: the ledger's own, or one with a bug planted in it.
pub(super) type Decider = fn(&CreditLedger, CreditLedgerCommand) -> Decision;

/// What an auditor knows, from events alone.
#[derive(Default)]
struct Books {
    chart: BTreeMap<LedgerAccount, i128>,
    expiries: BTreeMap<LotId, Option<DateTime<Utc>>>,
    granted: BTreeMap<LotId, i128>,
    expired: BTreeMap<LotId, i128>,
    captured: BTreeMap<LotId, i128>,
    /// What each open hold took, per lot.
    open: BTreeMap<HoldId, BTreeMap<LotId, i128>>,
    ended: BTreeSet<HoldId>,
    forfeited: BTreeMap<LotId, i128>,
    closed: bool,
}

/// Milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A run of one history.
pub(super) struct Simulation {
    decide: Decider,
    now: i64,
    ledger: CreditLedger,
    reference: Reference,
    books: Books,
    events: Vec<CreditLedgerEvent>,
    /// Every command given, for repeats.
    pub(super) commands: Vec<CreditLedgerCommand>,
    /// The kinds of answers seen.
    pub(super) seen: BTreeSet<String>,
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn wide(amount: Credits) -> i128 {
    i128::from(amount.get())
}

fn lots_of(event: &CreditLedgerEvent) -> BTreeMap<LotId, i128> {
    let mut lots = BTreeMap::new();
    for entry in event.entries() {
        if let LedgerAccount::Lot(lot) = entry.account {
            *lots.entry(lot).or_default() += wide(entry.amount);
        }
    }
    lots
}

/// Whether the amount an event states is the one its entries move.
fn stated(event: &CreditLedgerEvent) -> bool {
    let moved = |account: LedgerAccount| -> i128 {
        event.entries().iter().filter(|entry| entry.account == account).map(|entry| wide(entry.amount)).sum()
    };
    let to_lots: i128 = lots_of(event).values().sum();
    match event {
        CreditLedgerEvent::CreditsGranted { amount, .. } => to_lots == wide(*amount),
        CreditLedgerEvent::HoldPlaced { amount, .. } => moved(LedgerAccount::Held) == wide(*amount),
        CreditLedgerEvent::HoldCaptured { captured, .. } => moved(LedgerAccount::Consumed) == wide(*captured),
        CreditLedgerEvent::HoldVoided { returned, .. } => to_lots == wide(*returned),
        CreditLedgerEvent::LotExpired { amount, .. } => moved(LedgerAccount::Breakage) == wide(*amount),
        CreditLedgerEvent::LedgerClosed { forfeited, .. } => moved(LedgerAccount::Forfeited) == wide(*forfeited),
    }
}

impl Books {
    fn write(&mut self, event: &CreditLedgerEvent) -> Result<(), String> {
        let sum: i128 = event.entries().iter().map(|entry| wide(entry.amount)).sum();
        check(sum == 0, || format!("L01: {event:?} is off by {sum}"))?;
        for entry in event.entries() {
            *self.chart.entry(entry.account).or_default() += wide(entry.amount);
        }
        check(stated(event), || format!("L11: {event:?} says other than its entries"))?;
        check(!self.closed, || format!("A38: {event:?} after the end"))?;
        match event {
            CreditLedgerEvent::CreditsGranted { lot_id, expires_at, amount, .. } => {
                check(!self.granted.contains_key(lot_id), || format!("INV-04: {lot_id} granted twice"))?;
                self.expiries.insert(*lot_id, *expires_at);
                self.granted.insert(*lot_id, wide(*amount));
            }
            CreditLedgerEvent::HoldPlaced { hold_id, .. } => {
                check(!self.ended.contains(hold_id), || format!("L10: {hold_id} placed again"))?;
                let taken = lots_of(event).into_iter().map(|(lot, amount)| (lot, -amount)).collect();
                check(self.open.insert(*hold_id, taken).is_none(), || format!("L10: {hold_id} placed twice"))?;
            }
            CreditLedgerEvent::HoldCaptured { hold_id, .. } | CreditLedgerEvent::HoldVoided { hold_id, .. } => {
                let taken = self.open.remove(hold_id).ok_or_else(|| format!("L10: {hold_id} was not open"))?;
                let back = lots_of(event);
                check(back.keys().all(|lot| taken.contains_key(lot)), || format!("L11: {hold_id}: foreign lot"))?;
                for (lot, amount) in taken {
                    let kept = amount - back.get(&lot).copied().unwrap_or(0);
                    check((0..=amount).contains(&kept), || format!("L11: {hold_id} returned more than it took"))?;
                    *self.captured.entry(lot).or_default() += kept;
                }
                self.ended.insert(*hold_id);
            }
            CreditLedgerEvent::LotExpired { lot_id, amount, .. } => {
                check(lots_of(event).keys().eq([lot_id]), || "L14: expiry took from another lot".to_owned())?;
                *self.expired.entry(*lot_id).or_default() += wide(*amount);
            }
            CreditLedgerEvent::LedgerClosed { .. } => {
                check(self.open.is_empty(), || "A38: closed over an open hold".to_owned())?;
                for (lot, amount) in lots_of(event) {
                    *self.forfeited.entry(lot).or_default() -= amount;
                }
                self.closed = true;
            }
        }
        Ok(())
    }

    fn balance(&self, account: LedgerAccount) -> i128 {
        self.chart.get(&account).copied().unwrap_or(0)
    }

    /// L01, L08 and L12 between the books and the ledger's state.
    fn agree_with(&self, ledger: &CreditLedger, now: DateTime<Utc>) -> Result<(), String> {
        check(self.chart.values().sum::<i128>() == 0, || "L01: the chart does not sum to zero".to_owned())?;
        check(self.balance(LedgerAccount::Held) == wide(ledger.held()), || "L08: held".to_owned())?;
        let consumed: i128 = self.captured.values().sum();
        check(self.balance(LedgerAccount::Consumed) == consumed, || "L11: what was not paid must return".to_owned())?;
        let left = self.granted.keys().map(|lot| self.balance(LedgerAccount::Lot(*lot))).sum::<i128>();
        check(!self.closed || left == 0, || format!("A38: {left} left in a closed ledger"))?;
        let mut available = 0;
        for (lot, granted) in &self.granted {
            let of = |map: &BTreeMap<LotId, i128>| map.get(lot).copied().unwrap_or(0);
            let state = ledger.lots().iter().find(|open| open.id == *lot);
            let (remaining, held) = state.map_or((0, 0), |open| (wide(open.remaining), wide(open.held)));
            let parts = remaining + held + of(&self.captured) + of(&self.expired) + of(&self.forfeited);
            check(parts == *granted, || format!("L12: {lot}: {parts} of {granted}"))?;
            let held_by_open: i128 = self.open.values().filter_map(|taken| taken.get(lot)).sum();
            check(held == held_by_open, || format!("L12: {lot}: held {held}, holds say {held_by_open}"))?;
            let posted = self.balance(LedgerAccount::Lot(*lot));
            check(posted == remaining && remaining >= 0, || format!("L08: {lot}: {remaining}, posted {posted}"))?;
            let over = self.expiries[lot].is_some_and(|instant| now >= instant);
            available += if over { 0 } else { posted };
        }
        check(wide(ledger.available(now)) == available, || format!("L08/L13: available is not {available}"))
    }
}

impl Simulation {
    pub(super) fn new(decide: Decider) -> Self {
        Self {
            decide,
            now: 0,
            ledger: CreditLedger::default(),
            reference: Reference::default(),
            books: Books::default(),
            events: Vec::new(),
            commands: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Runs a history; the first broken invariant ends it.
    pub(super) fn run(mut self, history: &[Operation]) -> Result<Self, String> {
        for operation in history {
            let Some(command) = self.command(*operation) else { continue };
            self.step(&command)?;
            self.commands.push(command);
        }
        let stored = serde_json::to_vec(&self.events).map_err(|error| error.to_string())?;
        let read: Vec<CreditLedgerEvent> = serde_json::from_slice(&stored).map_err(|error| error.to_string())?;
        check(read == self.events, || "L20: an event read back differs".to_owned())?;
        Ok(self)
    }

    fn command(&mut self, operation: Operation) -> Option<CreditLedgerCommand> {
        let now = self.now;
        Some(match operation {
            Operation::Grant { lot, source, amount, expires_in } => {
                grant(lot, source, amount, expires_in.map(|millis| now + millis), now)
            }
            Operation::Place { hold: n, generation, amount, price_version, limits } => CreditLedgerCommand::PlaceHold {
                hold_id: hold(n),
                generation_id: GenerationId(Uuid::from_u128(generation)),
                amount: Credits::new(amount.of(self.ledger.available(at(now)))),
                price_version,
                limits,
                now: at(now),
            },
            Operation::Capture { hold: n, amount } => {
                let held = self.ledger.hold(&hold(n)).map_or(Credits::ZERO, Hold::amount);
                capture(n, amount.of(held), now)
            }
            Operation::Void { hold: n } => void(n, now),
            Operation::Expire { lot: n } => expire(n, now),
            Operation::Close => CreditLedgerCommand::Close { now: at(now) },
            Operation::Wait { millis } => {
                self.now += millis;
                return None;
            }
            Operation::WaitForTomorrow => {
                self.now = (self.now / DAY + 1) * DAY;
                return None;
            }
            Operation::Repeat { step } => redelivered(self.commands.get(step)?.clone(), at(now)),
        })
    }

    fn step(&mut self, command: &CreditLedgerCommand) -> Result<(), String> {
        let decided = (self.decide)(&self.ledger, command.clone());
        for event in decided.iter().flatten() {
            self.seen.insert(event.name().to_owned());
            self.books.write(event)?;
            self.ledger.apply(event.clone());
            self.events.push(event.clone());
            // Between the events of one decision too: each is a prefix of the log.
            self.books.agree_with(&self.ledger, at(self.now))?;
        }
        self.replays()?;
        self.holds_can_be_captured()?;
        self.equals_reference(command, decided)
    }

    /// L20: the log, folded again from zero, is this state, to the byte; and so is a snapshot read back.
    fn replays(&self) -> Result<(), String> {
        let again = folded(&self.events);
        let bytes = serde_json::to_vec(&self.ledger).map_err(|error| error.to_string())?;
        let replayed = serde_json::to_vec(&again).map_err(|error| error.to_string())?;
        check(again == self.ledger && replayed == bytes, || "L20: a replay differs".to_owned())?;
        let snapshot: CreditLedger = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        check(snapshot == self.ledger, || "L20: a snapshot read back differs".to_owned())
    }

    /// L11: any amount up to the hold can be captured, and no more.
    fn holds_can_be_captured(&self) -> Result<(), String> {
        for hold_id in self.books.open.keys() {
            let held = self.ledger.hold(hold_id).ok_or("L10: an open hold is missing")?.amount().get();
            for amount in [0, 1, held / 2, held, held + 1] {
                let (hold_id, now) = (*hold_id, at(self.now));
                let command = CreditLedgerCommand::CaptureHold { hold_id, amount: Credits::new(amount), now };
                let accepted = (self.decide)(&self.ledger, command).is_ok();
                check(accepted == (amount <= held), || format!("L11: capture of {amount} of {held}"))?;
            }
        }
        Ok(())
    }

    fn equals_reference(&mut self, command: &CreditLedgerCommand, decided: Decision) -> Result<(), String> {
        let expected = self.reference.answer(command);
        let answer: Result<Moves, _> = decided.map(|events| {
            let lines = |event: &CreditLedgerEvent| {
                event.entries().iter().map(|entry| (entry.account, wide(entry.amount))).collect()
            };
            events.iter().map(|event| (event.name(), lines(event))).collect()
        });
        match &answer {
            Err(error) => {
                self.seen.insert(format!("{error:?}").split([' ', '(']).next().unwrap_or_default().to_owned())
            }
            Ok(moves) if moves.is_empty() => self.seen.insert("NoOp".to_owned()),
            Ok(moves) if moves.len() > 1 => self.seen.insert("ReturnedTooLate".to_owned()),
            Ok(_) => false,
        };
        check(answer == expected, || format!("reference: {command:?}: {answer:?}, expected {expected:?}"))?;
        let now = at(self.now);
        let mut lots: Vec<_> = self.ledger.lots().iter().map(|lot| (lot.id, lot.remaining, lot.held)).collect();
        let mut expected = self.reference.lots();
        lots.sort();
        expected.sort();
        check(lots == expected, || format!("reference: lots {lots:?}, expected {expected:?}"))?;
        check(self.ledger.available(now) == self.reference.available(now), || "reference: available".to_owned())
    }
}

/// The same command, delivered again later.
fn redelivered(mut command: CreditLedgerCommand, later: DateTime<Utc>) -> CreditLedgerCommand {
    match &mut command {
        CreditLedgerCommand::GrantCredits { now, .. }
        | CreditLedgerCommand::PlaceHold { now, .. }
        | CreditLedgerCommand::CaptureHold { now, .. }
        | CreditLedgerCommand::VoidHold { now, .. }
        | CreditLedgerCommand::ExpireLot { now, .. }
        | CreditLedgerCommand::Close { now } => *now = later,
    }
    command
}
