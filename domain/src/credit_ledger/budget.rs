//! What capped API keys have spent: kept by the ledger itself, so that a cap holds under any race and any crash (U21, B15).

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::CreditLedgerError;
use super::entry::{minus, plus};
use crate::account::SpendCaps;
use crate::{ApiKeyId, Credits};

/// How many capped keys one ledger remembers. A key that replaces another one spends on with its predecessor's. At the bound another
/// capped key is refused and none is forgotten: a live key's spending must not begin again at zero.
pub const REMEMBERED_BUDGETS: usize = 1000;

/// What the key that a hold comes by may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBudget {
    /// The first key of its line: successors spend from what it was given.
    pub key_id: ApiKeyId,
    /// How much.
    pub caps: SpendCaps,
}

/// What a hold must keep within beside the balance; nothing when not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HoldLimits {
    /// The most holds open at once, this one included (U34).
    pub at_once: Option<u32>,
    /// The caps of the key it comes by (U21).
    pub budget: Option<KeyBudget>,
}

/// Whose caps a hold counts against: enough for an auditor to see that they were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetCharge {
    /// The first key of its line.
    pub key_id: ApiKeyId,
    /// Its caps.
    pub caps: SpendCaps,
    /// The UTC day it counts to.
    pub day: NaiveDate,
}

/// Which cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapPeriod {
    /// Of one UTC day.
    Day,
    /// Of the key's whole life.
    Life,
}

/// What one line of keys holds or has paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Spending {
    /// The last day anything counted to.
    day: NaiveDate,
    /// Of that day.
    today: Credits,
    /// Of all days.
    total: Credits,
}

/// What every capped line of keys holds or has paid; at most [`REMEMBERED_BUDGETS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budgets(BTreeMap<ApiKeyId, Spending>);

impl Budgets {
    /// What a hold of this amount counts to, if the caps allow it.
    pub(super) fn charge(
        &self,
        budget: KeyBudget,
        amount: Credits,
        now: DateTime<Utc>,
    ) -> Result<BudgetCharge, CreditLedgerError> {
        let KeyBudget { key_id, caps } = budget;
        let known = self.0.get(&key_id);
        if known.is_none() && self.0.len() >= REMEMBERED_BUDGETS {
            return Err(CreditLedgerError::TooManyBudgets(REMEMBERED_BUDGETS));
        }
        // A clock that goes back does not open a day again.
        let day = known.map_or(now.date_naive(), |known| known.day.max(now.date_naive()));
        let total = known.map_or(Credits::ZERO, |known| known.total);
        let today = known.filter(|known| known.day == day).map_or(Credits::ZERO, |known| known.today);
        for (period, cap, spent) in [(CapPeriod::Life, caps.total, total), (CapPeriod::Day, caps.daily, today)] {
            if let Some(cap) = cap.filter(|cap| plus(spent, amount) > *cap) {
                return Err(CreditLedgerError::KeyBudgetExceeded { period, cap, spent, required: amount });
            }
        }
        Ok(BudgetCharge { key_id, caps, day })
    }

    pub(super) fn spend(&mut self, charge: BudgetCharge, amount: Credits) {
        let BudgetCharge { key_id, day, .. } = charge;
        let known = self.0.entry(key_id).or_insert(Spending { day, today: Credits::ZERO, total: Credits::ZERO });
        if known.day < day {
            (known.day, known.today) = (day, Credits::ZERO);
        }
        if known.day == day {
            known.today = plus(known.today, amount);
        }
        known.total = plus(known.total, amount);
    }

    /// What a hold did not pay: to the day it was taken from, if that is still the last one.
    pub(super) fn give_back(&mut self, charge: BudgetCharge, amount: Credits) {
        let Some(known) = self.0.get_mut(&charge.key_id) else { return };
        if known.day == charge.day {
            known.today = minus(known.today, amount);
        }
        known.total = minus(known.total, amount);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // The nodes of a B-tree are about half full.
        2 * self.0.len() * size_of::<(ApiKeyId, Spending)>()
    }
}
