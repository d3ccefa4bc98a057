//! `GenerationCharge`: a hold becomes a job, a job's end becomes a capture or a void. Every hold ends once (L10, L22).

use atelier_domain::credit_ledger::CreditLedgerEvent;
use atelier_domain::generation::GenerationEvent;
use atelier_domain::{Envelope, GenerationId, LedgerId, LogEvent};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{ProcessManager, Reaction, Work};

/// How long a hold may wait for its job. The request's two appends are milliseconds apart; minutes mean that its node died.
const HOLD_WITHOUT_JOB: TimeDelta = TimeDelta::minutes(2);
/// How long a job may take, from acceptance to its end (U14).
const JOB_DEADLINE: TimeDelta = TimeDelta::minutes(10);

/// The process manager.
pub struct GenerationCharge;

/// What it remembers of one job: whose credits are held for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    ledger: String,
}

impl Held {
    fn of(ledger: LedgerId) -> Self {
        Self { ledger: ledger.to_string() }
    }

    fn ledger(&self) -> Option<LedgerId> {
        self.ledger.parse().ok()
    }
}

impl ProcessManager for GenerationCharge {
    const NAME: &'static str = "GenerationCharge";
    type State = Held;

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::Generation(generation, _) => Some(generation.to_string()),
            LogEvent::CreditLedger(_, event) => match event {
                CreditLedgerEvent::HoldPlaced { generation_id, .. } => Some(generation_id.to_string()),
                CreditLedgerEvent::CreditsGranted { .. }
                | CreditLedgerEvent::HoldCaptured { .. }
                | CreditLedgerEvent::HoldVoided { .. }
                | CreditLedgerEvent::LotExpired { .. } => None,
            },
            LogEvent::Account(..) => None,
        }
    }

    fn react(state: Option<Held>, event: &Envelope) -> Reaction<Held> {
        match &event.event {
            LogEvent::CreditLedger(ledger, CreditLedgerEvent::HoldPlaced { generation_id, .. }) => {
                let at = event.decided_at + HOLD_WITHOUT_JOB;
                let check = Work::AbandonIfNotRequested { account: ledger.account, generation: *generation_id, at };
                Reaction { state: Some(Held::of(*ledger)), work: vec![check] }
            }
            LogEvent::CreditLedger(..) | LogEvent::Account(..) => Reaction { state, work: Vec::new() },
            LogEvent::Generation(generation, what) => job(state, *generation, what, event),
        }
    }
}

fn job(state: Option<Held>, generation: GenerationId, what: &GenerationEvent, event: &Envelope) -> Reaction<Held> {
    let ledger = state.as_ref().and_then(Held::ledger);
    let void = || ledger.map(|ledger| Work::VoidHold { ledger, generation }).into_iter().collect();
    match what {
        GenerationEvent::GenerationRequested { terms, .. } => {
            let ledger = LedgerId { account: terms.account_id, environment: terms.environment };
            let deadline = Work::TimeOutGeneration { generation, at: event.decided_at + JOB_DEADLINE };
            Reaction { state: Some(Held::of(ledger)), work: vec![Work::RenderGeneration { generation }, deadline] }
        }
        GenerationEvent::GenerationSucceeded { price, .. } => {
            let capture = ledger.map(|ledger| Work::CaptureHold { ledger, generation, amount: *price });
            Reaction { state, work: capture.into_iter().collect() }
        }
        GenerationEvent::GenerationFailed { .. }
        | GenerationEvent::GenerationCancelled {}
        | GenerationEvent::GenerationAbandoned {} => Reaction { state, work: void() },
        GenerationEvent::GenerationDeleted {} => {
            let delete = ledger.map(|ledger| Work::DeleteMedia { account: ledger.account, generation });
            Reaction { state: None, work: delete.into_iter().collect() }
        }
        GenerationEvent::GenerationStarted { .. } | GenerationEvent::GenerationPublished {} => {
            Reaction { state, work: Vec::new() }
        }
    }
}
