//! `ExpirySweep`: a lot that expires is written off at its instant. It is unspendable from then on even if nobody sweeps (L13).

use atelier_domain::credit_ledger::CreditLedgerEvent;
use atelier_domain::{Envelope, LogEvent};

use super::{ProcessManager, Reaction, Work};

/// The process manager. It remembers nothing: the grant says all it needs.
pub struct ExpirySweep;

impl ProcessManager for ExpirySweep {
    const NAME: &'static str = "ExpirySweep";
    type State = ();

    fn instance(event: &Envelope) -> Option<String> {
        match &event.event {
            LogEvent::CreditLedger(_, CreditLedgerEvent::CreditsGranted { lot_id, expires_at, .. }) => {
                expires_at.map(|_| lot_id.to_string())
            }
            LogEvent::CreditLedger(..) | LogEvent::Account(..) | LogEvent::Generation(..) => None,
        }
    }

    fn react(_: Option<()>, event: &Envelope) -> Reaction<()> {
        let work = match &event.event {
            LogEvent::CreditLedger(ledger, CreditLedgerEvent::CreditsGranted { lot_id, expires_at: Some(at), .. }) => {
                vec![Work::ExpireLot { ledger: *ledger, lot: *lot_id, at: *at }]
            }
            LogEvent::CreditLedger(..) | LogEvent::Account(..) | LogEvent::Generation(..) => Vec::new(),
        };
        Reaction { state: None, work }
    }
}
