//! Balances as an auditor folds them: from the entries of events, and from nothing else.

use atelier_domain::credit_ledger::{CreditLedgerEvent, LedgerAccount};

/// What one ledger has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Neither spent nor held.
    pub available: i64,
    /// Set aside by open holds.
    pub held: i64,
}

impl Balance {
    /// Folds one event.
    pub fn apply(&mut self, event: &CreditLedgerEvent) {
        for entry in event.entries() {
            match entry.account {
                LedgerAccount::Lot(_) => self.available += entry.amount.get(),
                LedgerAccount::Held => self.held += entry.amount.get(),
                LedgerAccount::Debt
                | LedgerAccount::IssuedPurchased
                | LedgerAccount::IssuedPromotional
                | LedgerAccount::Consumed
                | LedgerAccount::Breakage
                | LedgerAccount::Forfeited
                | LedgerAccount::Adjustments => {}
            }
        }
    }

    /// Whether no more was spent or held than there was.
    pub const fn is_sound(&self) -> bool {
        self.available >= 0 && self.held >= 0
    }
}
