//! What an API key is to its account: its scopes, its caps, and what the state remembers of it.

use chrono::{DateTime, Months, Utc};
use serde::{Deserialize, Serialize};

use crate::instant::in_micros;
use crate::invalid::{Invalid, Reason, within};
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
    /// Checks a cap.
    ///
    /// # Errors
    /// When it is not positive, or above what a ledger may hold.
    pub fn cap(credits: i64) -> Result<Credits, Invalid> {
        within(credits, 1..=Credits::MAX.get(), "credits").map(Credits::new)
    }

    /// Whether the key is capped at all.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.daily.is_none() && self.total.is_none()
    }
}

/// How far ahead a key may end, in months: ten years.
const LONGEST_LIFE: Months = Months::new(120);

/// The end of a new key: at most ten years ahead, and in whole microseconds, so that it is the same instant in PostgreSQL, in JSON and in
/// RFC 3339. Whether it is still to come is decided with the command, because a repeat of an earlier request may come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyExpiry(DateTime<Utc>);

impl KeyExpiry {
    /// Rounds an end to microseconds and checks it.
    ///
    /// # Errors
    /// When it is more than ten years after `now`.
    pub fn parse(at: DateTime<Utc>, now: DateTime<Utc>) -> Result<Self, Invalid> {
        if at > latest(now) {
            return Err(Invalid::new(Reason::TooFarAhead, "must be at most ten years ahead"));
        }
        Ok(Self::rounded(at))
    }

    /// The end that a key takes over from its predecessor. Keys of earlier releases may end later than is allowed now: then it is the
    /// latest end that is.
    #[must_use]
    pub fn inherited(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self::rounded(at.min(latest(now)))
    }

    /// What is over before 1970 is as over in 1970, and every reader knows that year.
    fn rounded(at: DateTime<Utc>) -> Self {
        Self(in_micros(at.max(DateTime::UNIX_EPOCH)))
    }

    /// The instant.
    #[must_use]
    pub const fn get(self) -> DateTime<Utc> {
        self.0
    }
}

fn latest(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_add_months(LONGEST_LIFE).unwrap_or(now)
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
    /// The end it was made with. A rotation brings its own end forward, and its successors take over this one.
    pub agreed_end: Option<DateTime<Utc>>,
}

impl KeyRecord {
    /// Whether its end has come.
    #[must_use]
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_end_is_at_most_ten_years_ahead_and_in_microseconds() {
        let now = at("2026-02-28T12:00:00Z");
        let parsed = |text: &str| KeyExpiry::parse(at(text), now).map_err(|refused| refused.reason);
        for past in ["1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "-9999-01-01T00:00:00Z"] {
            assert_eq!(parsed(past).map(KeyExpiry::get), Ok(DateTime::UNIX_EPOCH), "{past}");
        }
        for far in [
            "2036-02-28T12:00:00.000001Z",
            "9999-12-31T23:59:59.9999999Z",
            "+10000-01-01T00:00:00Z",
            "+262142-12-31T23:59:59.999999999Z",
        ] {
            assert_eq!(parsed(far), Err(Reason::TooFarAhead), "{far}");
        }
        assert_eq!(KeyExpiry::parse(DateTime::<Utc>::MAX_UTC, now).map_err(|r| r.reason), Err(Reason::TooFarAhead));
        assert_eq!(KeyExpiry::parse(DateTime::<Utc>::MIN_UTC, now).map(KeyExpiry::get), Ok(DateTime::UNIX_EPOCH));
        assert_eq!(parsed("2036-02-28T12:00:00Z").map(KeyExpiry::get), Ok(at("2036-02-28T12:00:00Z")));
        let given = "2026-12-31T23:59:60.9999999Z";
        assert_eq!(parsed(given).map(KeyExpiry::get), Ok(at("2027-01-01T00:00:01Z")), "in whole microseconds");
    }

    #[test]
    fn a_successor_of_a_key_without_a_bound_ends_at_the_bound() {
        let now = at("2026-01-01T00:00:00Z");
        let inherited = |text: &str| KeyExpiry::inherited(at(text), now).get();
        assert_eq!(inherited("+10000-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
        assert_eq!(inherited("2027-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn a_cap_is_positive_and_bounded() {
        for wrong in [i64::MIN, -1, 0, Credits::MAX.get() + 1, i64::MAX] {
            assert_eq!(SpendCaps::cap(wrong).map_err(|refused| refused.reason), Err(Reason::OutOfRange), "{wrong}");
        }
        assert_eq!(SpendCaps::cap(1), Ok(Credits::new(1)));
    }
}
