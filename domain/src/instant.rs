//! Instants in whole microseconds: what PostgreSQL keeps, and so the finest that an event may hold.

use chrono::{DateTime, Utc};

/// An instant rounded to microseconds. A leap second is the second after it, as it is to PostgreSQL. Years 0 to 9999 only: others come back
/// as they were.
#[must_use]
pub fn in_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    // In a leap second, more nanoseconds than a second has.
    let within = i64::from((at.timestamp_subsec_nanos() + 500) / 1_000);
    let micros = at.timestamp().checked_mul(1_000_000).and_then(|second| second.checked_add(within));
    micros.and_then(DateTime::from_timestamp_micros).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rounded_and_leap_seconds_are_the_next() {
        let rounded = |text: &str| in_micros(text.parse().unwrap()).to_rfc3339();
        for (given, kept) in [
            ("2026-12-31T23:59:59.1234564Z", "2026-12-31T23:59:59.123456+00:00"),
            ("2026-12-31T23:59:59.1234565Z", "2026-12-31T23:59:59.123457+00:00"),
            ("2026-12-31T23:59:59.9999999Z", "2027-01-01T00:00:00+00:00"),
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00+00:00"),
            ("2026-12-31T23:59:60.25Z", "2027-01-01T00:00:00.250+00:00"),
            ("2026-12-31T23:59:60.999999999Z", "2027-01-01T00:00:01+00:00"),
            ("1969-12-31T23:59:59.9999999Z", "1970-01-01T00:00:00+00:00"),
            ("0000-01-01T00:00:00.0000001Z", "0000-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(rounded(given), kept, "{given}");
        }
    }
}
