//! What PostgreSQL, JSON and RFC 3339 can all carry. Values are checked before they enter an event; an older log may still hold others, and
//! a fold that keeps them would fail for ever. So rows keep the nearest value that can be carried (issue 10, A1).

use atelier_domain::instant::in_micros;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The nearest instant that can be carried: of the years 1 to 9999, in whole microseconds. PostgreSQL refuses the text of others, or rounds it
/// up into the year 10000, which readers of JSON refuse.
fn carried(at: DateTime<Utc>) -> DateTime<Utc> {
    in_micros(at.clamp(FIRST, LAST)).min(LAST)
}

const FIRST: DateTime<Utc> =
    DateTime::from_timestamp_micros(-62_135_596_800_000_000).expect("the year 1 is an instant");
const LAST: DateTime<Utc> =
    DateTime::from_timestamp_micros(253_402_300_799_999_999).expect("the year 9999 is an instant");

/// An instant of a row.
pub(crate) fn instant<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    carried(*at).serialize(serializer)
}

/// An instant of a row that may have none.
pub(crate) fn maybe_instant<S: Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(carried).serialize(serializer)
}

/// A number of an `integer` column.
pub(crate) fn integer<S: Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    i32::try_from(*number).unwrap_or(i32::MAX).serialize(serializer)
}

/// A number of an `integer` column that may have none.
pub(crate) fn maybe_integer<S: Serializer>(number: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    number.map(|number| i32::try_from(number).unwrap_or(i32::MAX)).serialize(serializer)
}

/// A number of a `bigint` column.
pub(crate) fn bigint<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    i64::try_from(*number).unwrap_or(i64::MAX).serialize(serializer)
}

/// Rows as PostgreSQL takes them: it has no text with a NUL.
///
/// # Errors
/// When a row cannot be serialised.
pub(crate) fn rows<T: Serialize>(rows: &[T]) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(rows)?;
    // As a rule there is none; what looks like one may be a backslash in front of a word.
    if !text.contains("\\u0000") {
        return Ok(text);
    }
    let mut value: Value = serde_json::from_str(&text)?;
    without_nul(&mut value);
    serde_json::to_string(&value)
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(without_nul),
        Value::Object(fields) => fields.values_mut().for_each(without_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_instants_are_kept_within_years_of_four_digits_to_the_microsecond() {
        let said = |text: &str| {
            let at: DateTime<Utc> = text.parse().expect("chrono reads it");
            instant(&at, serde_json::value::Serializer).expect("a text").as_str().map(str::to_owned)
        };
        for (text, kept) in [
            ("+10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
            ("+262142-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z"),
            ("+262142-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59.999999900Z", "9999-12-31T23:59:59.999999Z"),
            ("-262143-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("0000-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.123457Z"),
            ("2026-11-30T12:00:00.5Z", "2026-11-30T12:00:00.500Z"),
        ] {
            assert_eq!(said(text).as_deref(), Some(kept), "{text}");
        }
    }

    #[test]
    fn a1_a_nul_is_replaced_and_a_backslash_is_not() {
        assert_eq!(rows(&["a\0b"]).expect("JSON"), "[\"a\u{fffd}b\"]");
        assert_eq!(rows(&["a\\u0000b"]).expect("JSON"), r#"["a\\u0000b"]"#);
    }
}
