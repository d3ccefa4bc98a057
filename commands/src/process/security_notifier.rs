//! `SecurityNotifier`: whatever changes who may get into an account, or what can be taken out of it, is told to its owner, by mail and
//! inside the application (sec.S7). It cannot be switched off (V12); each event is told once.

use atelier_domain::account::AccountEvent;
use atelier_domain::{Envelope, LogEvent};
use uuid::Uuid;

use super::{ProcessManager, Reaction, Work};
use crate::notice_topic::NoticeTopic;

/// The sequence of the event right after the account's first.
const SECOND: i64 = 2;

/// The process manager. It remembers nothing: each event says all it needs.
pub struct SecurityNotifier;

/// What an owner is told of an event, and about which thing.
fn told(event: &AccountEvent, sequence: i64) -> Option<(NoticeTopic, Option<Uuid>)> {
    match event {
        AccountEvent::PasswordChanged { .. } => Some((NoticeTopic::PasswordChanged, None)),
        AccountEvent::TwoFactorEnabled {} => Some((NoticeTopic::TwoFactorEnabled, None)),
        AccountEvent::TwoFactorDisabled { .. } => Some((NoticeTopic::TwoFactorDisabled, None)),
        AccountEvent::TwoFactorResetRequested { .. } => Some((NoticeTopic::TwoFactorResetRequested, None)),
        AccountEvent::TwoFactorResetStopped {} => Some((NoticeTopic::TwoFactorResetStopped, None)),
        AccountEvent::RecoveryCodesRenewed {} => Some((NoticeTopic::RecoveryCodesRenewed, None)),
        AccountEvent::RecoveryCodeUsed {} => Some((NoticeTopic::RecoveryCodeUsed, None)),
        // Part of the sign-up itself (A16): whoever signs up with an identity knows.
        AccountEvent::ExternalIdentityLinked { .. } if sequence == SECOND => None,
        AccountEvent::ExternalIdentityLinked { identity_id, .. } => {
            Some((NoticeTopic::IdentityLinked, Some(identity_id.0)))
        }
        AccountEvent::ExternalIdentityUnlinked { identity_id } => {
            Some((NoticeTopic::IdentityUnlinked, Some(identity_id.0)))
        }
        AccountEvent::EmailChanged { .. } => Some((NoticeTopic::EmailChanged, None)),
        AccountEvent::UsernameChanged { .. } => Some((NoticeTopic::UsernameChanged, None)),
        AccountEvent::ApiKeyCreated { key_id, .. } => Some((NoticeTopic::ApiKeyCreated, Some(key_id.0))),
        AccountEvent::RoleGranted { .. } => Some((NoticeTopic::RoleGranted, None)),
        AccountEvent::RoleWithdrawn { .. } => Some((NoticeTopic::RoleWithdrawn, None)),
        AccountEvent::DataExportRequested { export_id } => Some((NoticeTopic::DataExportRequested, Some(export_id.0))),
        AccountEvent::AccountOpened { .. }
        | AccountEvent::AccountAbandoned {}
        | AccountEvent::EmailVerified {}
        | AccountEvent::DisplayNameChanged { .. }
        | AccountEvent::BioChanged { .. }
        | AccountEvent::AvatarChanged { .. }
        | AccountEvent::AvatarRemoved {}
        | AccountEvent::PublicProfileChanged { .. }
        | AccountEvent::LanguageChanged { .. }
        | AccountEvent::NotificationPreferenceChanged { .. }
        | AccountEvent::PublishPreferenceChanged { .. }
        | AccountEvent::PlanAssigned { .. }
        | AccountEvent::SessionStarted { .. }
        | AccountEvent::SessionEnded { .. }
        | AccountEvent::PasswordResetRequested {}
        | AccountEvent::ApiKeyExpiryChanged { .. }
        | AccountEvent::ApiKeyExpired { .. }
        | AccountEvent::ApiKeyRevoked { .. }
        | AccountEvent::StaffActionRecorded { .. }
        | AccountEvent::DataExportReady { .. }
        | AccountEvent::DataExportFailed { .. }
        | AccountEvent::AccountDeletionRequested { .. }
        | AccountEvent::AccountErased { .. } => None,
    }
}

impl ProcessManager for SecurityNotifier {
    const NAME: &'static str = "SecurityNotifier";
    type State = ();

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::Account(account, what) => told(what, event.sequence).map(|_| account.to_string()),
            LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        }
    }

    fn react(_: Option<()>, event: &Envelope) -> Reaction<()> {
        let nothing = Reaction { state: None, work: Vec::new() };
        let LogEvent::Account(account, what) = &event.event else { return nothing };
        let Some((topic, about)) = told(what, event.sequence) else { return nothing };
        let (account, at) = (*account, event.decided_at);
        let mail = match what {
            // Its mail says how to say no (U36).
            AccountEvent::TwoFactorResetRequested { due_at } => {
                Work::SendTwoFactorResetMail { account, due_at: *due_at }
            }
            _ => Work::SendSecurityNotice { account, topic, at },
        };
        let mut work = vec![Work::PostNotice { account, topic, about, at }, mail];
        if topic == NoticeTopic::EmailChanged {
            work.push(Work::SendFormerAddressNotice { account, before: event.sequence, at });
        }
        Reaction { state: None, work }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::account::{IdentityProvider, PasswordVia};
    use atelier_domain::{AccountId, Actor, EventId, EventMetadata, IdentityId, Personal, Sealed};
    use chrono::DateTime;

    use super::*;

    const OWNER: AccountId = AccountId(Uuid::from_u128(1));

    fn reacted(sequence: i64, event: AccountEvent) -> Vec<Work> {
        let id = Uuid::from_u128(99);
        let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let event = LogEvent::Account(OWNER, event);
        let event = Envelope {
            position: 1,
            event_id: EventId(id),
            sequence,
            decided_at: now,
            recorded_at: now,
            metadata,
            event,
        };
        if SecurityNotifier::instance(&event).is_none() {
            Vec::new()
        } else {
            SecurityNotifier::react(None, &event).work
        }
    }

    #[test]
    fn s7_a_change_of_password_is_shown_and_mailed() {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let topic = NoticeTopic::PasswordChanged;
        let both = [
            Work::PostNotice { account: OWNER, topic, about: None, at },
            Work::SendSecurityNotice { account: OWNER, topic, at },
        ];
        assert_eq!(reacted(9, AccountEvent::PasswordChanged { via: PasswordVia::Reset }), both);
        assert_eq!(reacted(9, AccountEvent::EmailVerified {}), []);
    }

    #[test]
    fn a13_a_change_of_address_goes_to_the_former_one_too() {
        let email = Personal::Sealed(Sealed::from_text("p1.sealed".into()));
        let work = reacted(9, AccountEvent::EmailChanged { email });
        assert!(matches!(work[2], Work::SendFormerAddressNotice { account: OWNER, before: 9, .. }), "{work:?}");
        assert_eq!(work.len(), 3);
    }

    #[test]
    fn a16_the_identity_of_a_sign_up_is_no_news_and_every_later_one_is() {
        let linked = || AccountEvent::ExternalIdentityLinked {
            identity_id: IdentityId(Uuid::from_u128(5)),
            provider: IdentityProvider::Google,
            label: Personal::Sealed(Sealed::from_text("p1.sealed".into())),
        };
        assert_eq!(reacted(2, linked()), []);
        assert_eq!(reacted(3, linked()).len(), 2);
    }
}
