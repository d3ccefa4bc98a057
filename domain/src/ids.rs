//! Identifiers: UUID newtypes, the ledger's compound id, and the environment a key or ledger belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { Uuid::from_str(text).map(Self) }
        }
    )+};
}

uuid_id! {
    /// A person's account; also the subject whose keys seal personal data.
    AccountId,
    /// One generation job, from request to deletion.
    GenerationId,
    /// A signed-in session.
    SessionId,
    /// An API key; its public identifier, never its secret.
    ApiKeyId,
    /// A lot of credits: one grant with one expiry.
    LotId,
    /// A hold on credits. A generation's hold carries the generation's id.
    HoldId,
    /// A payment, which a purchase of credits names (L23).
    PaymentId,
    /// One upload of an avatar.
    AvatarId,
    /// An identity elsewhere that signs in to an account; ours, not the provider's.
    IdentityId,
    /// One copy of everything an account has (U25).
    ExportId,
    /// One event of the log.
    EventId,
}

impl From<GenerationId> for HoldId {
    fn from(id: GenerationId) -> Self {
        Self(id.0)
    }
}

impl From<HoldId> for GenerationId {
    fn from(id: HoldId) -> Self {
        Self(id.0)
    }
}

/// Which of an account's two worlds a key or a ledger belongs to (B14, DESIGN 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Real credits, real models, visible history.
    Live,
    /// The test ledger and the demo model only; never in a feed, a rank or live history.
    Test,
}

impl Environment {
    /// The word used in ids and keys: `live` or `test`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl FromStr for Environment {
    type Err = InvalidLedgerId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(InvalidLedgerId),
        }
    }
}

/// A credit ledger's stream id, `<account>:<environment>`: each account has one live and one test ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId {
    /// Whose credits these are.
    pub account: AccountId,
    /// Live or test credits; the two never mix (INV-11).
    pub environment: Environment,
}

impl LedgerId {
    /// The live ledger of an account.
    #[must_use]
    pub const fn live(account: AccountId) -> Self {
        Self { account, environment: Environment::Live }
    }

    /// Both ledgers of an account.
    #[must_use]
    pub const fn both(account: AccountId) -> [Self; 2] {
        [Self::live(account), Self { account, environment: Environment::Test }]
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.account, self.environment.as_str())
    }
}

/// The text is not `<account>:<live|test>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger id")]
pub struct InvalidLedgerId;

impl FromStr for LedgerId {
    type Err = InvalidLedgerId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (account, environment) = text.split_once(':').ok_or(InvalidLedgerId)?;
        Ok(Self { account: account.parse().map_err(|_| InvalidLedgerId)?, environment: environment.parse()? })
    }
}
