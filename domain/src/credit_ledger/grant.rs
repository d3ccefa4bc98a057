//! Why credits are granted, and what kind of credits they are for that.

use serde::{Deserialize, Serialize};

use crate::PaymentId;

/// What kind of credits a lot has; decides the issuing account and the burn order (U20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantSource {
    /// The sign-up bonus and other gifts (U19).
    Promotional,
    /// The credits of a plan's cycle.
    Plan,
    /// A bought pack (V25).
    Purchased,
}

/// Where a grant comes from (L23). Ids only, nothing personal: who granted stands in the event's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GrantReason {
    /// An older release did not say. No new grant may have it.
    Unrecorded,
    /// The address was verified (U19).
    SignUpBonus,
    /// The daily filling up of a test ledger (DESIGN 4).
    TestRefill,
    /// A cycle of the plan began.
    PlanCycle,
    /// A pack was bought (V25).
    Payment {
        /// The payment that paid for it; once per payment (L15).
        payment_id: PaymentId,
    },
    /// Given by an operator.
    Gift,
}

impl GrantReason {
    /// The kind of credits that a grant for this reason has; `None` when the reason is not recorded. So a purchase without its payment
    /// cannot even be asked for.
    #[must_use]
    pub const fn source(self) -> Option<GrantSource> {
        match self {
            Self::Unrecorded => None,
            Self::SignUpBonus | Self::TestRefill | Self::Gift => Some(GrantSource::Promotional),
            Self::PlanCycle => Some(GrantSource::Plan),
            Self::Payment { .. } => Some(GrantSource::Purchased),
        }
    }
}
