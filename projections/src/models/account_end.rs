//! What takes an account's rows out of every read model: its deletion, at its request and once more at its end (A37, E3).

use atelier_domain::account::AccountEvent;
use atelier_domain::{AccountId, LogEvent};

use crate::read_row::{Column, ReadRow, Rows};

/// The column by which a read model knows whose a row is.
pub(crate) const OWNER: Column = ("account_id", "uuid");

/// The account whose rows go with this event. At the request, so that nobody sees them while the rest is being removed; at the end, for
/// what came in between.
pub(crate) fn ended(event: &LogEvent) -> Option<AccountId> {
    match event {
        LogEvent::Account(
            account,
            AccountEvent::AccountDeletionRequested { .. } | AccountEvent::AccountErased { .. },
        ) => Some(*account),
        LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
    }
}

/// Takes the rows out when this event ends their account.
pub(crate) fn drop_rows<R: ReadRow>(rows: &mut Rows<R>, event: &LogEvent, belongs: impl Fn(&R, AccountId) -> bool) {
    if let Some(account) = ended(event) {
        rows.drop_where(OWNER, account, |row| belongs(row, account));
    }
}
