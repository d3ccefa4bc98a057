//! What an API key is to its account: its scopes, its caps, and what the state remembers of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Credits, Environment, Sealed};

/// What an API key may do (REQUIREMENTS 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyScope {
    /// Request generations.
    #[serde(rename = "generate")]
    Generate,
    /// Read generations.
    #[serde(rename = "generations:read")]
    GenerationsRead,
    /// Cancel and delete generations.
    #[serde(rename = "generations:write")]
    GenerationsWrite,
    /// Read the model catalogue.
    #[serde(rename = "models:read")]
    ModelsRead,
    /// Read the balance.
    #[serde(rename = "account:read")]
    AccountRead,
}

impl KeyScope {
    /// Every scope a key can have; also what a key gets when none is named.
    pub const ALL: [Self; 5] =
        [Self::Generate, Self::GenerationsRead, Self::GenerationsWrite, Self::ModelsRead, Self::AccountRead];

    /// The scope's public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::GenerationsRead => "generations:read",
            Self::GenerationsWrite => "generations:write",
            Self::ModelsRead => "models:read",
            Self::AccountRead => "account:read",
        }
    }

    /// Finds a scope by its public name; an unknown one is refused at creation (V29).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// How much a key may spend (B15, U21). A cap that is not given is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendCaps {
    /// Credits held or paid in one UTC day.
    pub daily: Option<Credits>,
    /// Credits held or paid in the key's whole life.
    pub total: Option<Credits>,
}

impl SpendCaps {
    /// Whether the key is capped at all.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.daily.is_none() && self.total.is_none()
    }
}

/// What the account's state keeps of a key that was not revoked: what its successor takes over (B18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// What its owner calls it, as the log has it.
    pub label: Option<Sealed>,
    /// Live or test.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// How much it may spend.
    pub caps: SpendCaps,
    /// Its end, if it has one.
    pub expires_at: Option<DateTime<Utc>>,
}
