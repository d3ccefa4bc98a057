//! `Welcome`: a new account gets a verification mail, a verified one its promotional credits (U19, U26).

use atelier_domain::account::AccountEvent;
use atelier_domain::{Envelope, LogEvent, LotId};

use super::{ProcessManager, Reaction, Work};

/// The process manager. It remembers who had the bonus: another address of the same account is no second one (U19).
pub struct Welcome;

impl ProcessManager for Welcome {
    const NAME: &'static str = "Welcome";
    type State = ();

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::Account(
                account,
                AccountEvent::AccountOpened { .. }
                | AccountEvent::EmailVerified {}
                | AccountEvent::AccountErased { .. },
            ) => Some(account.to_string()),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        }
    }

    fn react(had: Option<()>, event: &Envelope) -> Reaction<()> {
        let mut state = had;
        let work = match &event.event {
            // Vouched for by somebody else: verified in the same append, or the sign-up asks for the mail itself.
            LogEvent::Account(_, AccountEvent::AccountOpened { has_password: false, .. }) => Vec::new(),
            LogEvent::Account(account, AccountEvent::AccountOpened { .. }) => {
                vec![Work::SendVerificationMail { account: *account }]
            }
            LogEvent::Account(_, AccountEvent::AccountErased { .. }) => {
                state = None;
                Vec::new()
            }
            LogEvent::Account(account, AccountEvent::EmailVerified {}) if had.is_none() => {
                state = Some(());
                // The event's id is the lot's: random, unique, and the same at every delivery.
                vec![Work::GrantSignUpBonus { account: *account, lot: LotId(event.event_id.0) }]
            }
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => Vec::new(),
        };
        Reaction { state, work }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::{AccountId, Actor, EventId, EventMetadata, KeyClass, Personal, Sealed};
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn at(n: u128, event: AccountEvent) -> Envelope {
        let (id, now) = (Uuid::from_u128(n), DateTime::UNIX_EPOCH);
        let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
        let event = LogEvent::Account(AccountId(Uuid::from_u128(1)), event);
        Envelope { position: 1, event_id: EventId(id), sequence: 1, decided_at: now, recorded_at: now, metadata, event }
    }

    #[test]
    fn u19_another_address_of_the_same_account_is_no_second_bonus() {
        let another = AccountEvent::EmailChanged { email: Personal::Sealed(Sealed::from_text("p1.x".into())) };
        assert_eq!(Welcome::instance(&at(5, another)), None);
        let first = Welcome::react(None, &at(6, AccountEvent::EmailVerified {}));
        assert!(matches!(first.work[..], [Work::GrantSignUpBonus { .. }]));
        let second = Welcome::react(first.state, &at(7, AccountEvent::EmailVerified {}));
        assert_eq!((second.state, second.work.len()), (Some(()), 0));
        let erased = AccountEvent::AccountErased { policy_version: 1, keys: vec![KeyClass::Profile] };
        assert_eq!(Welcome::react(second.state, &at(8, erased)).state, None, "nothing is remembered of who is gone");
    }
}
