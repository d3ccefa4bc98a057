//! The credit ledger: lots, holds and balanced entries; one live and one test ledger per account (REQUIREMENTS 2).

mod aggregate;
mod budget;
mod command;
mod decide;
mod entry;
mod error;
mod event;
mod grant;
mod hold;
mod lots;
#[cfg(test)]
mod tests;

pub use aggregate::CreditLedger;
pub use budget::{BudgetCharge, CapPeriod, HoldLimits, KeyBudget, REMEMBERED_BUDGETS};
pub use command::CreditLedgerCommand;
pub use entry::{Entry, LedgerAccount};
pub use error::CreditLedgerError;
pub use event::{CreditLedgerEvent, ForfeitReason};
pub use grant::{GrantReason, GrantSource};
pub use hold::{Hold, HoldPart, REMEMBERED_HOLDS};
pub use lots::{Lot, LotTerms, REMEMBERED_LOTS, burn_order};
