//! Quarantine: an event that a follower cannot decode or fold costs one account in that follower, and nothing else (DESIGN 5).
//!
//! The unit is a follower and a [`Subject`]: an account, with its two ledgers and its generations; or a stream whose account is not
//! known. A row of `quarantine` is written in the transaction that moves the checkpoint over the parked event, and later events of the
//! subject are left out until `atelier projections retry` has folded them. The rows that exist are read after the checkpoint's row was
//! locked, so no node folds what another has just parked. While nothing is in quarantine (state `running`) none of this costs a
//! statement.
//!
//! | dies | leaves | what comes next does |
//! | --- | --- | --- |
//! | before a row and its checkpoint are committed | the event unfolded | the next node parks it again |
//! | in a retry of a read model, between two pieces | the row; some of the subject's rows, which nobody reads | the next retry begins at 0 |
//! | in a retry of a process manager, between two pieces | the row, with how far its events have been reacted to | the next retry goes on there: nothing is asked for twice |
//! | before a retry's last piece is committed | the row | as above; the last piece, the row's end and the checkpoint are one transaction |
//!
//! An account that is erased leaves every quarantine: the follower removes its rows at `AccountErased`, whatever it had left out.

mod account_rows;
mod list;
mod parking;
mod reads;
mod refold;
mod retry;
mod rows;
mod streams;
mod subject;

pub use list::{Quarantined, quarantined};
pub use retry::{Retried, RetryError};

pub(crate) use account_rows::forget_account;
pub(crate) use parking::{Verdict, lift_erased, verdict};
pub(crate) use rows::{Kind, Parked, STATE, Slot, among, clear, newly_left_out, park};
pub(crate) use subject::{Subject, owner_of, subjects};

use atelier_domain::account::AccountEvent;
use atelier_domain::{AccountId, LogEvent};

use crate::batch::Logged;

/// The account that ends with this event for good; nothing happens to it afterwards.
pub(crate) fn erased(event: &Logged) -> Option<AccountId> {
    match event {
        Logged::Event(event) => match &event.event {
            LogEvent::Account(account, AccountEvent::AccountErased { .. }) => Some(*account),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
        },
        Logged::Undecodable(_) => None,
    }
}
