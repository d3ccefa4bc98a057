//! `StaffFollower`: what must follow an order of staff even when whoever gave it dies on the way (A13, U36).

use atelier_domain::account::{AccountEvent, StaffAction};
use atelier_domain::{AccountId, Envelope, LogEvent};

use super::{ProcessManager, Reaction, Work};

/// The process manager. It remembers nothing: each event says all it needs.
pub struct StaffFollower;

fn asked(account: AccountId, event: &AccountEvent, envelope: &Envelope) -> Vec<Work> {
    match event {
        AccountEvent::EmailChanged { .. } => {
            vec![Work::SettleAccount { account, new_address: Some(envelope.decided_at) }]
        }
        AccountEvent::RoleGranted { .. }
        | AccountEvent::RoleWithdrawn { .. }
        | AccountEvent::StaffActionRecorded {
            action: StaffAction::SessionEnded | StaffAction::ApiKeyRevoked, ..
        } => vec![Work::SettleAccount { account, new_address: None }],
        AccountEvent::TwoFactorResetRequested { due_at } => vec![Work::TurnTwoFactorOff { account, at: *due_at }],
        // All others are no order of staff, or need nothing beside their event.
        _ => Vec::new(),
    }
}

fn asked_of(envelope: &Envelope) -> Vec<Work> {
    match &envelope.event {
        LogEvent::Account(account, event) => asked(*account, event, envelope),
        LogEvent::CreditLedger(..) | LogEvent::Generation(..) => Vec::new(),
    }
}

impl ProcessManager for StaffFollower {
    const NAME: &'static str = "StaffFollower";
    type State = ();

    fn instance(event: &Envelope) -> Option<String> {
        let LogEvent::Account(account, _) = &event.event else { return None };
        (!asked_of(event).is_empty()).then(|| account.to_string())
    }

    fn react(_: Option<()>, event: &Envelope) -> Reaction<()> {
        Reaction { state: None, work: asked_of(event) }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::account::Role;
    use atelier_domain::{Actor, EventId, EventMetadata, Personal, Sealed};
    use chrono::{DateTime, TimeDelta};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a13_u36_an_order_of_staff_is_followed_up_and_a_look_is_not() {
        let (account, at) = (AccountId(Uuid::from_u128(1)), DateTime::UNIX_EPOCH);
        let asked = |event: AccountEvent| {
            let id = Uuid::from_u128(7);
            let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
            let (event, event_id) = (LogEvent::Account(account, event), EventId(id));
            let event =
                Envelope { position: 1, event_id, sequence: 2, decided_at: at, recorded_at: at, metadata, event };
            StaffFollower::instance(&event).map_or_else(Vec::new, |_| StaffFollower::react(None, &event).work)
        };
        let sealed = || Personal::Sealed(Sealed::from_text("p1.x".into()));
        let settle = |new_address| vec![Work::SettleAccount { account, new_address }];
        assert_eq!(
            asked(AccountEvent::EmailChanged { email: Personal::Sealed(Sealed::from_text("p1.x".into())) }),
            settle(Some(at))
        );
        assert_eq!(asked(AccountEvent::RoleGranted { role: Role::Support }), settle(None));
        let due_at = at + TimeDelta::hours(24);
        let off = Work::TurnTwoFactorOff { account, at: due_at };
        assert_eq!(off.due_at(), Some(due_at));
        assert_eq!(asked(AccountEvent::TwoFactorResetRequested { due_at }), [off]);
        let record = |action| AccountEvent::StaffActionRecorded { staff: None, action, reason: sealed() };
        assert_eq!(asked(record(StaffAction::SessionEnded)), settle(None));
        assert_eq!(asked(record(StaffAction::AccountViewed)), []);
        assert_eq!(asked(AccountEvent::EmailVerified {}), []);
    }
}
