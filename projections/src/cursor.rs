//! Opaque strings that leave by the API: positions and list cursors, each with the log's id in it (DESIGN 3.9, 6).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A cursor that this log did not give out for this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this list")]
pub struct BadCursor;

/// A place in a list that is ordered by time, then id, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The row's time, to the microsecond.
    pub at: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

const CURSOR_BYTES: usize = 4 + 8 + 16;
/// The last instant that a row of a list can have, in microseconds since 1970: the end of the year 9999.
const LAST_MICROS: i64 = 253_402_300_799_999_999;
const POSITION_BYTES: usize = 4 + 8;

/// The part of the log's id that cursors and positions carry.
fn mark(log: Uuid) -> [u8; 4] {
    let bytes = log.as_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

impl Cursor {
    /// The opaque form.
    #[must_use]
    pub fn encode(&self, log: Uuid) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.extend(mark(log));
        bytes.extend(self.at.timestamp_micros().to_be_bytes());
        bytes.extend(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the opaque form back.
    ///
    /// # Errors
    /// [`BadCursor`] when it is malformed, of another log, or of an instant that no row has: before 1970 or after the year 9999.
    pub fn decode(text: &str, log: Uuid) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (head, rest) = bytes.split_at_checked(4).ok_or(BadCursor)?;
        let (micros, id) = rest.split_at_checked(8).ok_or(BadCursor)?;
        if head != mark(log) {
            return Err(BadCursor);
        }
        let micros = i64::from_be_bytes(micros.try_into().map_err(|_| BadCursor)?);
        let known = (0..=LAST_MICROS).contains(&micros);
        let at = DateTime::from_timestamp_micros(micros).filter(|_| known).ok_or(BadCursor)?;
        Ok(Self { at, id: Uuid::from_slice(id).map_err(|_| BadCursor)? })
    }
}

/// A place in the log, as clients hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PositionToken(pub i64);

impl PositionToken {
    /// The opaque form.
    #[must_use]
    pub fn encode(self, log: Uuid) -> String {
        let mut bytes = Vec::with_capacity(POSITION_BYTES);
        bytes.extend(mark(log));
        bytes.extend(self.0.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the opaque form back; `None` when it is malformed or of another log.
    #[must_use]
    pub fn decode(text: &str, log: Uuid) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, position) = bytes.split_at_checked(4)?;
        let position = i64::from_be_bytes(position.try_into().ok()?);
        (head == mark(log) && position >= 0).then_some(Self(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Uuid = Uuid::from_u128(0x1234_5678_0000_0000_0000_0000_0000_0001);
    const OTHER: Uuid = Uuid::from_u128(0x8765_4321_0000_0000_0000_0000_0000_0001);

    #[test]
    fn a_cursor_comes_back_and_a_foreign_or_broken_one_does_not() {
        let cursor =
            Cursor { at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(), id: Uuid::from_u128(7) };
        let text = cursor.encode(LOG);
        assert_eq!(Cursor::decode(&text, LOG), Ok(cursor));
        assert_eq!(Cursor::decode(&text, OTHER), Err(BadCursor));
        for broken in ["", "AAAA", "not base64!", &text[..text.len() - 2], &format!("{text}AAAA")] {
            assert_eq!(Cursor::decode(broken, LOG), Err(BadCursor), "{broken}");
        }
    }

    #[test]
    fn a_cursor_of_an_instant_that_no_row_has_is_none() {
        let text = |micros: i64| {
            let mut bytes = mark(LOG).to_vec();
            bytes.extend(micros.to_be_bytes());
            bytes.extend(Uuid::from_u128(7).as_bytes());
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let year = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_micros();
        for micros in [
            i64::MIN,
            year("-9999-01-01T00:00:00Z"),
            year("0000-01-01T00:00:00Z"),
            -1,
            LAST_MICROS + 1,
            year("+262142-12-31T23:59:59Z"),
            i64::MAX,
        ] {
            assert_eq!(Cursor::decode(&text(micros), LOG), Err(BadCursor), "{micros}");
        }
        for micros in [0, year("9999-12-31T23:59:59.999999Z")] {
            assert!(Cursor::decode(&text(micros), LOG).is_ok(), "{micros}");
        }
    }

    #[test]
    fn a_position_comes_back_and_a_foreign_or_broken_one_does_not() {
        let text = PositionToken(42).encode(LOG);
        assert_eq!(PositionToken::decode(&text, LOG), Some(PositionToken(42)));
        assert_eq!(PositionToken::decode(&text, OTHER), None);
        assert_eq!(PositionToken::decode("42", LOG), None);
    }
}
