//! What the clients do: a closed loop of holds and captures, and now and then an overdraft that must be refused.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atelier_commands::ports::Clock;
use atelier_domain::credit_ledger::{CreditLedgerCommand, CreditLedgerError, GrantReason, HoldLimits};
use atelier_domain::{AccountId, Credits, GenerationId, HoldId, LedgerId, LotId};
use atelier_server::system::SystemClock;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use uuid::Uuid;

use crate::Fallible;
use crate::dice::Dice;
use crate::histogram::Histogram;

/// What a ledger starts with; no round can spend it.
pub const GRANTED: Credits = Credits::new(1_000_000_000);
/// What one hold sets aside, and its capture pays.
const PRICE: Credits = Credits::new(4);
/// More than any ledger has.
const OVERDRAFT: Credits = Credits::MAX;
/// One command in this many is an overdraft.
const OVERDRAFT_EVERY: usize = 100;

/// A ledger, and its open holds that no client is about to capture.
#[derive(Debug)]
pub struct Ledger {
    /// Whose.
    pub account: AccountId,
    /// The stream's id.
    pub id: String,
    open: Mutex<Vec<HoldId>>,
}

impl Ledger {
    /// A ledger without open holds.
    pub fn new(account: AccountId) -> Self {
        Self { account, id: LedgerId::live(account).to_string(), open: Mutex::new(Vec::new()) }
    }

    // Held for a push or a pop, never across an await: some twenty nanoseconds.
    fn with_open<T>(&self, work: impl FnOnce(&mut Vec<HoldId>) -> T) -> T {
        work(&mut self.open.lock().expect("a push and a pop do not panic"))
    }
}

/// What is asked of a ledger.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// Its first lot.
    Grant(LotId),
    /// Set the price aside.
    Place(HoldId),
    /// Pay it.
    Capture(HoldId),
    /// Set more aside than there can be.
    Overdraw(HoldId),
}

impl Ask {
    /// The command at its instant.
    pub fn command(self, now: DateTime<Utc>) -> CreditLedgerCommand {
        let place = |hold_id: HoldId, amount| CreditLedgerCommand::PlaceHold {
            hold_id,
            generation_id: GenerationId::from(hold_id),
            amount,
            price_version: 1,
            limits: HoldLimits::default(),
            now,
        };
        match self {
            Self::Grant(lot_id) => CreditLedgerCommand::GrantCredits {
                lot_id,
                reason: GrantReason::Gift,
                amount: GRANTED,
                expires_at: None,
                now,
            },
            Self::Place(hold_id) => place(hold_id, PRICE),
            Self::Overdraw(hold_id) => place(hold_id, OVERDRAFT),
            Self::Capture(hold_id) => CreditLedgerCommand::CaptureHold { hold_id, amount: PRICE, now },
        }
    }
}

/// One request, as an edge would hand it on.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// What is asked.
    pub ask: Ask,
    /// The request's id, of which correlation and causation are made.
    pub id: Uuid,
    /// An idempotency key's digest, if the request has a key; the key is the request's id.
    pub fingerprint: Option<[u8; 32]>,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Durable.
    Done,
    /// Not enough credits.
    Refused,
    /// The hold's id was minted before a thousand younger holds came and went: it is minted anew.
    Late,
    /// Anything else, which must not happen.
    Failed(String),
}

impl From<CreditLedgerError> for Answer {
    fn from(refusal: CreditLedgerError) -> Self {
        match refusal {
            CreditLedgerError::InsufficientCredits { .. } => Self::Refused,
            CreditLedgerError::HoldEnded => Self::Late,
            other => Self::Failed(format!("a rule refused what it should not: {other}")),
        }
    }
}

/// Whatever executes commands.
pub trait System: Send + Sync + 'static {
    /// Executes one request to its durable end.
    fn execute(&self, ledger: &Ledger, request: Request) -> impl Future<Output = Answer> + Send;
}

/// When a round is measured.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The warm-up's length.
    pub warm_up: Duration,
    /// The measured length after it.
    pub measured: Duration,
}

/// What clients saw.
#[derive(Debug)]
pub struct Tally {
    /// Latencies of what was acknowledged within the window.
    pub latencies: Histogram,
    /// Everything that was acknowledged, warm-up included.
    pub acknowledged: u64,
    /// Overdrafts refused.
    pub refused: u64,
    /// Ids that had to be minted anew.
    pub late: u64,
    /// What went wrong first.
    pub failed: Option<String>,
}

impl Tally {
    fn new() -> Self {
        Self { latencies: Histogram::new(), acknowledged: 0, refused: 0, late: 0, failed: None }
    }

    fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.late += other.late;
        self.failed = self.failed.take().or(other.failed);
    }
}

/// Opens ledgers with their credits, by commands.
pub async fn open<S: System>(system: &S, count: usize, dice: &mut Dice) -> Fallible<Vec<Ledger>> {
    let now = SystemClock.now();
    let ledgers: Vec<Ledger> = (0..count).map(|_| Ledger::new(AccountId(dice.id(now)))).collect();
    let requests: Vec<Request> = ledgers
        .iter()
        .map(|_| Request { ask: Ask::Grant(LotId(dice.id(now))), id: dice.id(now), fingerprint: None })
        .collect();
    let grants = ledgers.iter().zip(requests).map(|(ledger, request)| system.execute(ledger, request));
    let answers: Vec<Answer> = stream::iter(grants).buffer_unordered(16).collect().await;
    match answers.into_iter().find(|answer| *answer != Answer::Done) {
        None => Ok(ledgers),
        Some(answer) => Err(format!("a grant came to {answer:?}").into()),
    }
}

/// Runs the clients through a window.
pub async fn drive<S: System>(
    system: &Arc<S>,
    ledgers: &Arc<Vec<Ledger>>,
    clients: usize,
    keyed: bool,
    window: Window,
) -> Fallible<Tally> {
    let from = Instant::now() + window.warm_up;
    let until = from + window.measured;
    let seed = |client: usize| Dice::new(0x0a7e_11e5 + ((client as u64) << 32));
    let tasks: Vec<_> = (0..clients)
        .map(|number| {
            let (system, ledgers) = (system.clone(), ledgers.clone());
            tokio::spawn(async move { client(system.as_ref(), &ledgers, keyed, (from, until), seed(number)).await })
        })
        .collect();
    let mut tally = Tally::new();
    for task in tasks {
        tally.merge(task.await?);
    }
    Ok(tally)
}

async fn client<S: System>(
    system: &S,
    ledgers: &[Ledger],
    keyed: bool,
    (from, until): (Instant, Instant),
    mut dice: Dice,
) -> Tally {
    let mut tally = Tally::new();
    let mut asked_at = Instant::now();
    while asked_at < until {
        let ledger = &ledgers[dice.below(ledgers.len())];
        let overdraw = dice.below(OVERDRAFT_EVERY) == 0;
        let to_capture = if overdraw { None } else { ledger.with_open(Vec::pop) };
        let id = dice.id(SystemClock.now());
        let ask = match to_capture {
            Some(hold) => Ask::Capture(hold),
            None if overdraw => Ask::Overdraw(HoldId(id)),
            None => Ask::Place(HoldId(id)),
        };
        let fingerprint = keyed.then(|| dice.digest());
        let answer = system.execute(ledger, Request { ask, id, fingerprint }).await;
        let answered_at = Instant::now();
        match (answer, ask) {
            (Answer::Done, Ask::Overdraw(_)) => tally.failed = Some("an overdraft was accepted".to_owned()),
            (Answer::Done, _) => {
                if let Ask::Place(hold) = ask {
                    ledger.with_open(|open| open.push(hold));
                }
                tally.acknowledged += 1;
                if answered_at >= from && answered_at < until {
                    tally.latencies.record(answered_at - asked_at);
                }
            }
            (Answer::Refused, Ask::Overdraw(_)) => tally.refused += 1,
            (Answer::Late, Ask::Place(_) | Ask::Overdraw(_)) => tally.late += 1,
            (other, _) => tally.failed = Some(format!("{ask:?} came to {other:?}")),
        }
        if tally.failed.is_some() {
            break;
        }
        asked_at = Instant::now();
    }
    tally
}
