//! `GenerationCharge`: a hold becomes a job, a job's end becomes a capture or a void. Every hold ends once (L10, L22).

use atelier_domain::credit_ledger::CreditLedgerEvent;
use atelier_domain::generation::GenerationEvent;
use atelier_domain::{Envelope, GenerationId, LedgerId, LogEvent};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{ProcessManager, Reaction, Work};

/// How long a hold may wait for its job. The request's two appends are milliseconds apart; minutes mean that its node died.
const HOLD_WITHOUT_JOB: TimeDelta = TimeDelta::minutes(2);
/// How long a job may wait, from its acceptance to its start (U14).
const MAX_WAIT: TimeDelta = TimeDelta::minutes(10);
/// How long a job may run, from its first start to its end, however many attempts that takes (U14).
const RUN_LIMIT: TimeDelta = TimeDelta::minutes(10);

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
                | CreditLedgerEvent::LotExpired { .. }
                | CreditLedgerEvent::LedgerClosed { .. } => None,
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
    match what {
        GenerationEvent::GenerationRequested { terms, .. } => {
            let ledger = LedgerId { account: terms.account_id, environment: terms.environment };
            let render = Work::RenderGeneration { generation, account: Some(terms.account_id) };
            let deadline = Work::FailIfNotStarted { generation, at: event.decided_at + MAX_WAIT };
            Reaction { state: Some(Held::of(ledger)), work: vec![render, deadline] }
        }
        GenerationEvent::GenerationStarted { attempt: 1 } => {
            let deadline = Work::TimeOutGeneration { generation, at: event.decided_at + RUN_LIMIT };
            Reaction { state, work: vec![deadline] }
        }
        // An end is the last thing to remember: the state goes with it.
        GenerationEvent::GenerationSucceeded { price, .. } => {
            let capture = ledger.map(|ledger| Work::CaptureHold { ledger, generation, amount: *price });
            Reaction { state: None, work: capture.into_iter().collect() }
        }
        GenerationEvent::GenerationFailed { .. }
        | GenerationEvent::GenerationCancelled {}
        | GenerationEvent::GenerationAbandoned {} => {
            // What an attempt may have stored before the end came goes as well.
            let void = ledger.map(|ledger| Work::VoidHold { ledger, generation });
            Reaction { state: None, work: [Work::DeleteMedia { generation }].into_iter().chain(void).collect() }
        }
        GenerationEvent::GenerationDeleted {} => Reaction { state, work: vec![Work::DeleteMedia { generation }] },
        GenerationEvent::GenerationStarted { .. } | GenerationEvent::GenerationPublished {} => {
            Reaction { state, work: Vec::new() }
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::credit_ledger::CreditLedgerEvent;
    use atelier_domain::generation::{FailureReason, RequestTerms};
    use atelier_domain::policy::catalogue::MediaType;
    use atelier_domain::{AccountId, Actor, Credits, Environment, EventId, EventMetadata, HoldId, Personal, Sealed};
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    const JOB: GenerationId = GenerationId(Uuid::from_u128(7));
    const OWNER: AccountId = AccountId(Uuid::from_u128(1));

    fn at(event: LogEvent) -> Envelope {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let id = Uuid::from_u128(99);
        let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
        let (decided_at, recorded_at) = (now, now);
        Envelope { position: 1, event_id: EventId(id), sequence: 1, decided_at, recorded_at, metadata, event }
    }

    fn placed() -> Envelope {
        let (amount, entries) = (Credits::new(100), Vec::new());
        let held = CreditLedgerEvent::HoldPlaced {
            hold_id: HoldId(JOB.0),
            generation_id: JOB,
            amount,
            price_version: 1,
            budget: None,
            entries,
        };
        at(LogEvent::CreditLedger(LedgerId::live(OWNER), held))
    }

    fn job_event(event: GenerationEvent) -> Envelope {
        at(LogEvent::Generation(JOB, event))
    }

    fn requested() -> Envelope {
        let terms = RequestTerms {
            account_id: OWNER,
            environment: Environment::Live,
            api_key_id: None,
            model: "z-image-turbo".into(),
            media_type: MediaType::Image,
            width: 64,
            height: 64,
            num_images: 1,
            seed: 1,
            unit_price: Credits::new(100),
            price: Credits::new(100),
            price_version: 1,
            publish: true,
        };
        job_event(GenerationEvent::GenerationRequested {
            terms,
            prompt: Personal::Sealed(Sealed::from_text("p1.sealed".into())),
        })
    }

    /// Feeds events in order and returns all the work asked for, with the state at the end.
    fn follow(events: &[Envelope]) -> (Option<Held>, Vec<Work>) {
        events.iter().fold((None, Vec::new()), |(state, mut work), event| {
            assert_eq!(GenerationCharge::instance(event), Some(JOB.to_string()));
            let reaction = GenerationCharge::react(state, event);
            work.extend(reaction.work);
            (reaction.state, work)
        })
    }

    #[test]
    fn l22_a_delivered_job_is_captured_at_the_price_of_what_was_delivered() {
        let succeeded = GenerationEvent::GenerationSucceeded { outputs: Vec::new(), price: Credits::new(100) };
        let (state, work) = follow(&[placed(), requested(), job_event(succeeded)]);
        let capture = Work::CaptureHold { ledger: LedgerId::live(OWNER), generation: JOB, amount: Credits::new(100) };
        assert_eq!((state, work.last()), (None, Some(&capture)), "an end leaves nothing to remember");
        assert!(work.contains(&Work::RenderGeneration { generation: JOB, account: Some(OWNER) }));
    }

    #[test]
    fn l10_every_other_end_voids_the_hold() {
        let ends = [
            GenerationEvent::GenerationFailed { reason: FailureReason::Timeout },
            GenerationEvent::GenerationCancelled {},
        ];
        for end in ends {
            let (state, work) = follow(&[placed(), requested(), job_event(end)]);
            let void = Work::VoidHold { ledger: LedgerId::live(OWNER), generation: JOB };
            assert_eq!((state, work.last()), (None, Some(&void)));
        }
    }

    #[test]
    fn d4_a_hold_without_a_job_is_looked_at_later_and_voided_once_its_id_is_closed() {
        let (state, work) = follow(&[placed()]);
        assert!(state.is_some());
        assert!(matches!(work[..], [Work::AbandonIfNotRequested { generation: JOB, account: OWNER, .. }]));
        let (_, work) = follow(&[placed(), job_event(GenerationEvent::GenerationAbandoned {})]);
        assert_eq!(work.last(), Some(&Work::VoidHold { ledger: LedgerId::live(OWNER), generation: JOB }));
    }

    #[test]
    fn u14_a_requested_job_has_a_longest_wait_and_a_run_limit_from_its_first_start() {
        let (_, work) = follow(&[placed(), requested()]);
        let at = requested().decided_at;
        assert!(work.contains(&Work::FailIfNotStarted { generation: JOB, at: at + MAX_WAIT }));
        assert!(
            !work.iter().any(|work| matches!(work, Work::TimeOutGeneration { .. })),
            "the wait is no part of the run"
        );
        let started = |attempt| job_event(GenerationEvent::GenerationStarted { attempt });
        let (state, work) = follow(&[placed(), requested(), started(1)]);
        assert_eq!(work.last(), Some(&Work::TimeOutGeneration { generation: JOB, at: at + RUN_LIMIT }));
        assert!(state.is_some());
        let (_, again) = follow(&[placed(), requested(), started(1), started(2)]);
        assert_eq!(again, work, "another attempt is no new start");
    }
}
