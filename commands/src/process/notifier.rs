//! `Notifier`: tells an owner that a generation has ended (A33): inside the application always, by mail only when nobody would wait
//! for it (C8). The owner's switches are asked when the notice is carried out.

use atelier_domain::generation::GenerationEvent;
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::{AccountId, Envelope, Environment, LogEvent};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{ProcessManager, Reaction, Work};
use crate::notice_topic::NoticeTopic;

/// A job that took longer than this, from acceptance to its end, is worth a mail whatever it makes (C8).
const LONG_JOB: TimeDelta = TimeDelta::seconds(60);

/// The process manager.
pub struct Notifier;

/// What it remembers of a job at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    account: AccountId,
    media_type: MediaType,
    accepted_at: DateTime<Utc>,
}

/// C8's default: pictures that came soon send no mail, so that nobody is flooded.
fn by_mail(media_type: MediaType, took: TimeDelta) -> bool {
    match media_type {
        MediaType::Video | MediaType::Audio => true,
        MediaType::Image => took > LONG_JOB,
    }
}

impl ProcessManager for Notifier {
    const NAME: &'static str = "Notifier";
    type State = Awaited;

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::Generation(generation, what) => match what {
                GenerationEvent::GenerationRequested { .. }
                | GenerationEvent::GenerationSucceeded { .. }
                | GenerationEvent::GenerationFailed { .. }
                | GenerationEvent::GenerationCancelled {} => Some(generation.to_string()),
                GenerationEvent::GenerationAbandoned {}
                | GenerationEvent::GenerationStarted { .. }
                | GenerationEvent::GenerationPublished {}
                | GenerationEvent::GenerationDeleted {} => None,
            },
            LogEvent::Account(..) | LogEvent::CreditLedger(..) => None,
        }
    }

    fn react(state: Option<Awaited>, event: &Envelope) -> Reaction<Awaited> {
        let LogEvent::Generation(generation, what) = &event.event else { return Reaction { state, work: Vec::new() } };
        match what {
            GenerationEvent::GenerationRequested { terms, .. } => {
                // A test key's job is nobody's news.
                let awaited = (terms.environment == Environment::Live).then_some(Awaited {
                    account: terms.account_id,
                    media_type: terms.media_type,
                    accepted_at: event.decided_at,
                });
                Reaction { state: awaited, work: Vec::new() }
            }
            GenerationEvent::GenerationSucceeded { .. } | GenerationEvent::GenerationFailed { .. } => {
                let topic = match what {
                    GenerationEvent::GenerationSucceeded { .. } => NoticeTopic::GenerationSucceeded,
                    _ => NoticeTopic::GenerationFailed,
                };
                let Some(Awaited { account, media_type, accepted_at }) = state else {
                    return Reaction { state: None, work: Vec::new() };
                };
                let (generation, at) = (*generation, event.decided_at);
                let shown = Work::PostNotice { account, topic, about: Some(generation.0), at };
                let mailed =
                    by_mail(media_type, at - accepted_at).then_some(Work::SendGenerationNotice { account, generation });
                Reaction { state: None, work: [shown].into_iter().chain(mailed).collect() }
            }
            // Its owner knows.
            GenerationEvent::GenerationCancelled {} => Reaction { state: None, work: Vec::new() },
            GenerationEvent::GenerationAbandoned {}
            | GenerationEvent::GenerationStarted { .. }
            | GenerationEvent::GenerationPublished {}
            | GenerationEvent::GenerationDeleted {} => Reaction { state, work: Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::generation::{FailureReason, RequestTerms};
    use atelier_domain::{Actor, Credits, EventId, EventMetadata, GenerationId, Personal, Sealed};
    use uuid::Uuid;

    use super::*;

    const JOB: GenerationId = GenerationId(Uuid::from_u128(7));
    const OWNER: AccountId = AccountId(Uuid::from_u128(1));

    fn at(seconds: i64, event: GenerationEvent) -> Envelope {
        let id = Uuid::from_u128(99);
        let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::seconds(seconds);
        let event = LogEvent::Generation(JOB, event);
        Envelope { position: 1, event_id: EventId(id), sequence: 1, decided_at: now, recorded_at: now, metadata, event }
    }

    fn requested(media_type: MediaType, environment: Environment) -> Envelope {
        let terms = RequestTerms {
            account_id: OWNER,
            environment,
            api_key_id: None,
            model: "any".into(),
            media_type,
            width: 64,
            height: 64,
            num_images: 1,
            seed: 1,
            unit_price: Credits::new(100),
            price: Credits::new(100),
            price_version: 1,
            publish: true,
        };
        let prompt = Personal::Sealed(Sealed::from_text("p1.sealed".into()));
        at(0, GenerationEvent::GenerationRequested { terms, prompt })
    }

    fn succeeded() -> GenerationEvent {
        GenerationEvent::GenerationSucceeded { outputs: Vec::new(), price: Credits::new(100) }
    }

    /// The work of a whole story; nothing may be remembered after it.
    fn told(story: &[Envelope]) -> Vec<Work> {
        let (state, work) = story.iter().fold((None, Vec::new()), |(state, mut work), event| {
            if Notifier::instance(event).is_none() {
                return (state, work);
            }
            let reaction = Notifier::react(state, event);
            work.extend(reaction.work);
            (reaction.state, work)
        });
        assert_eq!(state, None, "an end leaves nothing to remember");
        work
    }

    fn story(media_type: MediaType, environment: Environment, took: i64, end: GenerationEvent) -> Vec<Work> {
        let started = GenerationEvent::GenerationStarted { attempt: 1 };
        let after = [GenerationEvent::GenerationPublished {}, GenerationEvent::GenerationDeleted {}];
        let mut all = vec![requested(media_type, environment), at(0, started), at(took, end)];
        all.extend(after.map(|event| at(took, event)));
        told(&all)
    }

    #[test]
    fn a33_c8_one_notice_for_what_took_long_and_for_every_video_and_sound() {
        let mail = Work::SendGenerationNotice { account: OWNER, generation: JOB };
        let failed = || GenerationEvent::GenerationFailed { reason: FailureReason::Timeout };
        for (end, topic) in [(succeeded(), NoticeTopic::GenerationSucceeded), (failed(), NoticeTopic::GenerationFailed)]
        {
            let shown = |took| Work::PostNotice {
                account: OWNER,
                topic,
                about: Some(JOB.0),
                at: at(took, GenerationEvent::GenerationPublished {}).decided_at,
            };
            let both = |took| vec![shown(took), mail.clone()];
            assert_eq!(story(MediaType::Image, Environment::Live, 61, end.clone()), both(61), "{end:?}");
            assert_eq!(story(MediaType::Image, Environment::Live, 60, end.clone()), [shown(60)], "{end:?}");
            for media_type in [MediaType::Video, MediaType::Audio] {
                assert_eq!(story(media_type, Environment::Live, 1, end.clone()), both(1), "{media_type:?}, {end:?}");
            }
        }
    }

    #[test]
    fn c8_who_withdrew_a_job_or_tests_a_key_is_told_nothing() {
        assert_eq!(story(MediaType::Video, Environment::Live, 90, GenerationEvent::GenerationCancelled {}), []);
        assert_eq!(story(MediaType::Video, Environment::Test, 90, succeeded()), []);
    }

    #[test]
    fn a33_the_end_of_a_job_whose_acceptance_it_never_saw_is_no_notice() {
        assert_eq!(told(&[at(90, succeeded())]), [], "it began to follow in between");
    }
}
