//! Why a value is refused: a reason from a closed list, the bounds where they are the reason, and the rest of a sentence.

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Why a value is refused. The list is closed, so that a client can translate each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is missing.
    Required,
    /// A text is shorter than `min`.
    TooShort,
    /// A text is longer than `max`.
    TooLong,
    /// A number is not within `min` and `max`.
    OutOfRange,
    /// A list has fewer than `min` items.
    TooFew,
    /// A list has more than `max` items.
    TooMany,
    /// It is of another type than the field.
    Type,
    /// It has a character that is not allowed here.
    Characters,
    /// It is not of the form that the field asks for.
    Format,
    /// A password lacks a kind of character.
    Composition,
    /// A password is common, or made of its owner's names.
    TooCommon,
    /// It is kept for the studio itself.
    Reserved,
    /// It belongs to another account.
    Taken,
    /// It is in the list twice.
    Duplicate,
    /// It names something that does not exist, or not for this account.
    Unknown,
    /// It exists, but is not allowed in this field.
    NotAllowed,
    /// It is not the one that counts: a password, a code, a link or a confirmation.
    Wrong,
    /// An instant is not in the future.
    InThePast,
    /// An instant is too far in the future.
    TooFarAhead,
    /// Exactly one of several fields must be given.
    ExactlyOne,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 20] = [
        Self::Required,
        Self::TooShort,
        Self::TooLong,
        Self::OutOfRange,
        Self::TooFew,
        Self::TooMany,
        Self::Type,
        Self::Characters,
        Self::Format,
        Self::Composition,
        Self::TooCommon,
        Self::Reserved,
        Self::Taken,
        Self::Duplicate,
        Self::Unknown,
        Self::NotAllowed,
        Self::Wrong,
        Self::InThePast,
        Self::TooFarAhead,
        Self::ExactlyOne,
    ];

    /// The reason as REST writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::OutOfRange => "out_of_range",
            Self::TooFew => "too_few",
            Self::TooMany => "too_many",
            Self::Type => "type",
            Self::Characters => "characters",
            Self::Format => "format",
            Self::Composition => "composition",
            Self::TooCommon => "too_common",
            Self::Reserved => "reserved",
            Self::Taken => "taken",
            Self::Duplicate => "duplicate",
            Self::Unknown => "unknown",
            Self::NotAllowed => "not_allowed",
            Self::Wrong => "wrong",
            Self::InThePast => "in_the_past",
            Self::TooFarAhead => "too_far_ahead",
            Self::ExactlyOne => "exactly_one",
        }
    }
}

/// A refused value. It prints as the rest of a sentence that begins with the field's name, without a full stop, and never quotes the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{says}")]
pub struct Invalid {
    /// Why.
    pub reason: Reason,
    /// The least that is allowed, where a bound is the reason: characters, items, or the number itself.
    pub min: Option<i64>,
    /// The most that is allowed.
    pub max: Option<i64>,
    says: Cow<'static, str>,
}

impl Invalid {
    /// A refusal without bounds.
    #[must_use]
    pub fn new(reason: Reason, says: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, min: None, max: None, says: says.into() }
    }

    /// A refusal because of bounds.
    #[must_use]
    pub fn bounds(reason: Reason, range: &RangeInclusive<i64>, says: impl Into<Cow<'static, str>>) -> Self {
        Self { min: Some(*range.start()), max: Some(*range.end()), ..Self::new(reason, says) }
    }

    /// A refusal because of a lower bound alone.
    #[must_use]
    pub fn at_least(reason: Reason, min: i64, says: impl Into<Cow<'static, str>>) -> Self {
        Self { min: Some(min), ..Self::new(reason, says) }
    }

    /// A refusal because of an upper bound alone.
    #[must_use]
    pub fn at_most(reason: Reason, max: i64, says: impl Into<Cow<'static, str>>) -> Self {
        Self { max: Some(max), ..Self::new(reason, says) }
    }
}

/// Checks a number against its bounds; `unit` follows them in the sentence, and may be empty.
///
/// # Errors
/// `OutOfRange` with both bounds.
pub fn within<N: Copy + Into<i64>>(number: N, range: RangeInclusive<i64>, unit: &str) -> Result<N, Invalid> {
    if range.contains(&number.into()) {
        return Ok(number);
    }
    let (least, most) = (range.start(), range.end());
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    Err(Invalid::bounds(Reason::OutOfRange, &range, format!("must be {least} to {most}{unit}")))
}

/// Checks how long a text is, in the units that `counted` counts.
///
/// # Errors
/// `TooShort` or `TooLong`, with both bounds.
pub fn length(counted: usize, range: &RangeInclusive<usize>, unit: &str) -> Result<(), Invalid> {
    if range.contains(&counted) {
        return Ok(());
    }
    let bound = |bound: &usize| i64::try_from(*bound).unwrap_or(i64::MAX);
    let reason = if counted < *range.start() { Reason::TooShort } else { Reason::TooLong };
    let (least, most) = (range.start(), range.end());
    let says = match least {
        0 => format!("must have at most {most} {unit}"),
        _ => format!("must have {least} to {most} {unit}"),
    };
    Err(Invalid::bounds(reason, &(bound(least)..=bound(most)), says))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_said_and_carried() {
        let short = length(2, &(3..=30), "characters").unwrap_err();
        assert_eq!((short.reason, short.min, short.max), (Reason::TooShort, Some(3), Some(30)));
        assert_eq!(short.to_string(), "must have 3 to 30 characters");
        assert_eq!(length(161, &(0..=160), "characters").unwrap_err().to_string(), "must have at most 160 characters");
        assert!(length(3, &(3..=30), "").is_ok() && length(30, &(3..=30), "").is_ok());
        for number in [i64::MIN, -1, 0, 5, 1 << 31, i64::MAX] {
            let refused = within(number, 1..=4, "").unwrap_err();
            assert_eq!((refused.reason, refused.to_string().as_str()), (Reason::OutOfRange, "must be 1 to 4"));
        }
        assert_eq!(within(4_u32, 1..=4, "pixels"), Ok(4));
    }

    #[test]
    fn each_reason_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
