//! `AccountDeletion`: carries out what an owner confirmed (A37), and asks the same for an address that nobody proved (U26).

use atelier_domain::account::AccountEvent;
use atelier_domain::policy::account::UNVERIFIED_LIFE;
use atelier_domain::{AccountId, Envelope, LogEvent};
use chrono::TimeDelta;

use super::{ProcessManager, Reaction, Work};

/// When the files are removed once more: whatever was being drawn at the time has ended by then.
const MEDIA_AGAIN: TimeDelta = TimeDelta::hours(1);

/// The process manager. It remembers nothing: each event says all it needs.
pub struct AccountDeletion;

fn concerned(event: &Envelope) -> Option<(AccountId, &AccountEvent)> {
    match &event.event {
        LogEvent::Account(
            account,
            what @ (AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountDeletionRequested { .. }
            | AccountEvent::AccountErased { .. }),
        ) => Some((*account, what)),
        LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
    }
}

impl ProcessManager for AccountDeletion {
    const NAME: &'static str = "AccountDeletion";
    type State = ();

    fn instance(event: &Envelope) -> Option<String> {
        concerned(event).map(|(account, _)| account.to_string())
    }

    fn react(_: Option<()>, event: &Envelope) -> Reaction<()> {
        let work = match concerned(event) {
            Some((account, AccountEvent::AccountOpened { .. })) => {
                vec![Work::CloseUnverified { account, at: event.decided_at + UNVERIFIED_LIFE }]
            }
            Some((account, AccountEvent::AccountDeletionRequested { .. })) => vec![Work::EraseAccount { account }],
            Some((account, AccountEvent::AccountErased { .. })) => {
                vec![
                    Work::SendFarewell { account },
                    Work::RemoveMediaAgain { account, at: event.decided_at + MEDIA_AGAIN },
                ]
            }
            Some(_) | None => Vec::new(),
        };
        Reaction { state: None, work }
    }
}
