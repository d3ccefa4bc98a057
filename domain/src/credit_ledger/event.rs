//! What happens to credits. Every event carries its balanced entries: they alone are what the ledger, its read models and auditors fold.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use super::{BudgetCharge, CreditLedger, Entry, GrantReason, GrantSource};
use crate::personal::{PersonalFields, PersonalSlot};
use crate::upcast::version_of;
use crate::{Credits, GenerationId, HoldId, LotId};

/// An event of a credit ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CreditLedgerEvent {
    /// A new lot: issued account -> lot. Version 2: version 1 had no reason.
    CreditsGranted {
        /// The new lot.
        lot_id: LotId,
        /// What kind of credits they are.
        source: GrantSource,
        /// Where they come from (L23).
        reason: GrantReason,
        /// How many.
        amount: Credits,
        /// The first instant at which they can no longer be spent; `None` never expires (C10).
        expires_at: Option<DateTime<Utc>>,
        /// Balanced entries.
        entries: Vec<Entry>,
    },
    /// Credits set aside for one generation: lots, in burn order, -> held. Version 2: version 1 had no budget.
    HoldPlaced {
        /// The hold.
        hold_id: HoldId,
        /// What it pays for.
        generation_id: GenerationId,
        /// How much is held.
        amount: Credits,
        /// Which price list the amount comes from (L23, U47).
        price_version: u32,
        /// Whose caps it counts against, if it came by a capped key (U21).
        budget: Option<BudgetCharge>,
        /// Balanced entries, one per lot taken from.
        entries: Vec<Entry>,
    },
    /// The hold ended by payment: held -> consumed, the rest of it back to the lots it came from (L11).
    HoldCaptured {
        /// The hold, now ended.
        hold_id: HoldId,
        /// What it paid for.
        generation_id: GenerationId,
        /// How much was paid; at most what was held.
        captured: Credits,
        /// Which price list the amount comes from.
        price_version: u32,
        /// Balanced entries.
        entries: Vec<Entry>,
    },
    /// The hold ended without payment: held -> the lots it came from.
    HoldVoided {
        /// The hold, now ended.
        hold_id: HoldId,
        /// What it would have paid for.
        generation_id: GenerationId,
        /// How much came back.
        returned: Credits,
        /// Balanced entries.
        entries: Vec<Entry>,
    },
    /// What was left of a lot at its expiry, never the held part (L14): lot -> breakage.
    LotExpired {
        /// The lot.
        lot_id: LotId,
        /// How much expired.
        amount: Credits,
        /// Balanced entries.
        entries: Vec<Entry>,
    },
    /// The account is being deleted: all that was left is given up, and nothing happens to this ledger any more (A38): lots -> forfeited.
    LedgerClosed {
        /// How much was given up; the balance is zero from here on.
        forfeited: Credits,
        /// Why.
        reason: ForfeitReason,
        /// Balanced entries; none when nothing was left.
        entries: Vec<Entry>,
    },
}

/// Why credits were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForfeitReason {
    /// Their owner deleted the account (A38).
    AccountDeleted,
}

impl CreditLedgerEvent {
    /// The balanced entries of this event.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::CreditsGranted { entries, .. }
            | Self::HoldPlaced { entries, .. }
            | Self::HoldCaptured { entries, .. }
            | Self::HoldVoided { entries, .. }
            | Self::LotExpired { entries, .. }
            | Self::LedgerClosed { entries, .. } => entries,
        }
    }

    /// Every stored name; a test compares them with the committed forms.
    pub const NAMES: &[&str] =
        &["CreditsGranted", "HoldPlaced", "HoldCaptured", "HoldVoided", "LotExpired", "LedgerClosed"];

    /// The event's stored name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreditsGranted { .. } => "CreditsGranted",
            Self::HoldPlaced { .. } => "HoldPlaced",
            Self::HoldCaptured { .. } => "HoldCaptured",
            Self::HoldVoided { .. } => "HoldVoided",
            Self::LotExpired { .. } => "LotExpired",
            Self::LedgerClosed { .. } => "LedgerClosed",
        }
    }
}

impl DomainEvent for CreditLedgerEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        version_of(CreditLedger::TYPE, self.name()).to_owned()
    }
}

impl PersonalFields for CreditLedgerEvent {
    /// None: random ids and integers only (REQUIREMENTS 4.2.8).
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>> {
        Vec::new()
    }
}
