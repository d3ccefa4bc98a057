//! `Welcome`: a new account gets a verification mail, a verified one its promotional credits (U19, U26).

use atelier_domain::account::AccountEvent;
use atelier_domain::{Envelope, LogEvent, LotId};

use super::{ProcessManager, Reaction, Work};

/// The process manager. It remembers nothing: each event says all it needs.
pub struct Welcome;

impl ProcessManager for Welcome {
    const NAME: &'static str = "Welcome";
    type State = ();

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::Account(account, AccountEvent::AccountOpened { .. } | AccountEvent::EmailVerified {}) => {
                Some(account.to_string())
            }
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        }
    }

    fn react(_: Option<()>, event: &Envelope) -> Reaction<()> {
        let work = match &event.event {
            // Vouched for by somebody else, its address is verified in the same append.
            LogEvent::Account(_, AccountEvent::AccountOpened { has_password: false, .. }) => Vec::new(),
            LogEvent::Account(account, AccountEvent::AccountOpened { address_claimed: true, .. }) => {
                vec![Work::SendVerificationMail { account: *account }]
            }
            LogEvent::Account(account, AccountEvent::AccountOpened { .. }) => {
                vec![Work::SendAlreadyRegisteredMail { account: *account }]
            }
            LogEvent::Account(account, AccountEvent::EmailVerified {}) => {
                // The event's id is the lot's: random, unique, and the same at every delivery.
                vec![Work::GrantSignUpBonus { account: *account, lot: LotId(event.event_id.0) }]
            }
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => Vec::new(),
        };
        Reaction { state: None, work }
    }
}
