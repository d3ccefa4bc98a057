//! Plans and what they allow (A24, C14). Cycles and payments come with the subscription aggregate.

use serde::{Deserialize, Serialize};

/// An account's plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Everything is published to Explore.
    #[default]
    Free,
    /// Premium: may keep generations private.
    Pro,
}

impl Plan {
    /// Whether publishing to Explore may be turned off: premium only (A24).
    #[must_use]
    pub const fn allows_private_generations(self) -> bool {
        match self {
            Self::Free => false,
            Self::Pro => true,
        }
    }

    /// Whether what is accepted on this plan goes to Explore, given what its owner wishes: without privacy it always does (A24, U09).
    #[must_use]
    pub const fn publishes(self, wished: bool) -> bool {
        wished || !self.allows_private_generations()
    }

    /// The plan's name as shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "Free",
            Self::Pro => "Pro",
        }
    }
}
