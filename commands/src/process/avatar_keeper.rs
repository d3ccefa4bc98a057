//! `AvatarKeeper`: the avatar that another one replaces is removed from the store (A04).

use atelier_domain::account::AccountEvent;
use atelier_domain::{AvatarId, Envelope, LogEvent};

use super::{ProcessManager, Reaction, Work};

/// The process manager. It remembers which avatar an account shows.
pub struct AvatarKeeper;

impl ProcessManager for AvatarKeeper {
    const NAME: &'static str = "AvatarKeeper";
    type State = AvatarId;

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::Account(
                account,
                AccountEvent::AvatarChanged { .. }
                | AccountEvent::AvatarRemoved {}
                | AccountEvent::AccountErased { .. },
            ) => Some(account.to_string()),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        }
    }

    fn react(state: Option<AvatarId>, event: &Envelope) -> Reaction<AvatarId> {
        let LogEvent::Account(account, what) = &event.event else { return Reaction { state, work: Vec::new() } };
        let shown = match what {
            AccountEvent::AvatarChanged { avatar } => Some(avatar.avatar_id),
            AccountEvent::AvatarRemoved {} | AccountEvent::AccountErased { .. } => None,
            _ => return Reaction { state, work: Vec::new() },
        };
        let replaced = state.filter(|before| Some(*before) != shown);
        let work = replaced.map(|avatar| Work::DeleteAvatar { account: *account, avatar });
        Reaction { state: shown, work: work.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::account::Avatar;
    use atelier_domain::{AccountId, Actor, EventId, EventMetadata};
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    const OWNER: AccountId = AccountId(Uuid::from_u128(1));

    fn happens(event: AccountEvent) -> Envelope {
        let id = Uuid::from_u128(99);
        let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let event = LogEvent::Account(OWNER, event);
        Envelope { position: 1, event_id: EventId(id), sequence: 1, decided_at: now, recorded_at: now, metadata, event }
    }

    fn shows(avatar: u128) -> AccountEvent {
        let avatar_id = AvatarId(Uuid::from_u128(avatar));
        AccountEvent::AvatarChanged { avatar: Avatar { avatar_id, media_type: "image/png".into(), sizes: vec![64] } }
    }

    #[test]
    fn a04_what_is_replaced_is_removed_and_what_is_shown_is_not() {
        let erased = AccountEvent::AccountErased { policy_version: 1, keys: Vec::new() };
        let story = [shows(7), shows(7), shows(8), AccountEvent::AvatarRemoved {}, shows(9), erased];
        let (state, work) = story.into_iter().fold((None, Vec::new()), |(state, mut work), event| {
            let reaction = AvatarKeeper::react(state, &happens(event));
            work.extend(reaction.work);
            (reaction.state, work)
        });
        let removed = |avatar| Work::DeleteAvatar { account: OWNER, avatar: AvatarId(Uuid::from_u128(avatar)) };
        assert_eq!((state, work), (None, vec![removed(7), removed(8), removed(9)]));
    }
}
