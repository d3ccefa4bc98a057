//! Entries on the chart of accounts (REQUIREMENTS 2.4). Within a ledger's stream the user is known, so `user:{id}:` is left out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Credits, LotId};

/// An account of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// `user:{id}:lot:{lot}`, stored as `lot:{lot}`.
    Lot(LotId),
    /// `user:{id}:held`, stored as `held`.
    Held,
    /// `user:{id}:debt`, stored as `debt`.
    Debt,
    /// `system:issued:purchased`.
    IssuedPurchased,
    /// `system:issued:promotional`: sign-up bonuses, plan credits, gifts.
    IssuedPromotional,
    /// `system:consumed`: paid for what was delivered.
    Consumed,
    /// `system:breakage`: expired.
    Breakage,
    /// `system:forfeited`: given up with the account.
    Forfeited,
    /// `system:adjustments`: staff corrections.
    Adjustments,
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lot(lot) => write!(f, "lot:{lot}"),
            Self::Held => f.write_str("held"),
            Self::Debt => f.write_str("debt"),
            Self::IssuedPurchased => f.write_str("system:issued:purchased"),
            Self::IssuedPromotional => f.write_str("system:issued:promotional"),
            Self::Consumed => f.write_str("system:consumed"),
            Self::Breakage => f.write_str("system:breakage"),
            Self::Forfeited => f.write_str("system:forfeited"),
            Self::Adjustments => f.write_str("system:adjustments"),
        }
    }
}

/// The text names no account of the chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an account of the chart")]
pub struct UnknownLedgerAccount;

impl FromStr for LedgerAccount {
    type Err = UnknownLedgerAccount;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "held" => Self::Held,
            "debt" => Self::Debt,
            "system:issued:purchased" => Self::IssuedPurchased,
            "system:issued:promotional" => Self::IssuedPromotional,
            "system:consumed" => Self::Consumed,
            "system:breakage" => Self::Breakage,
            "system:forfeited" => Self::Forfeited,
            "system:adjustments" => Self::Adjustments,
            other => {
                let lot = other.strip_prefix("lot:").ok_or(UnknownLedgerAccount)?;
                Self::Lot(lot.parse().map_err(|_| UnknownLedgerAccount)?)
            }
        })
    }
}

impl Serialize for LedgerAccount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LedgerAccount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One line of a transaction: what an account gains (positive) or gives (negative).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The account of the chart.
    pub account: LedgerAccount,
    /// Signed credits; the entries of one event sum to zero (L01).
    pub amount: Credits,
}

impl Entry {
    /// One line.
    #[must_use]
    pub const fn new(account: LedgerAccount, amount: Credits) -> Self {
        Self { account, amount }
    }
}

/// The sum, at the ends of the range as far as it goes. A ledger never holds more than [`Credits::MAX`], so for amounts a decision made this is
/// exact; it only keeps the fold of a damaged log from panicking.
pub(super) const fn plus(a: Credits, b: Credits) -> Credits {
    Credits::new(a.get().saturating_add(b.get()))
}

/// The difference; exact as [`plus`] is.
pub(super) const fn minus(a: Credits, b: Credits) -> Credits {
    Credits::new(a.get().saturating_sub(b.get()))
}

/// The sum of many; exact as [`plus`] is.
pub(super) fn total(amounts: impl IntoIterator<Item = Credits>) -> Credits {
    amounts.into_iter().fold(Credits::ZERO, plus)
}
