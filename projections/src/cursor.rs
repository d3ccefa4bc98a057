//! Opaque strings that leave by the API: positions and list cursors, each with the log's id in it (DESIGN 3.9, 6).

use atelier_log::Position;
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
const POSITION_BYTES: usize = 4 + 8 + 8;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionToken {
    /// The mark of the branch that the log was on; none in a token of a release before branches, which counts as the first one's.
    pub branch: Option<[u8; 8]>,
    /// Which event.
    pub number: i64,
}

impl PositionToken {
    /// The token of a position.
    #[must_use]
    pub fn of(position: Position) -> Self {
        Self { branch: Some(position.branch.mark()), number: position.number }
    }

    /// The opaque form.
    #[must_use]
    pub fn encode(self, log: Uuid) -> String {
        let mut bytes = Vec::with_capacity(POSITION_BYTES);
        bytes.extend(mark(log));
        bytes.extend(self.branch.into_iter().flatten());
        bytes.extend(self.number.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the opaque form back; `None` when it is malformed or of another log.
    #[must_use]
    pub fn decode(text: &str, log: Uuid) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, rest) = bytes.split_at_checked(4)?;
        let (branch, number) = match rest.split_first_chunk::<8>() {
            Some((branch, number)) if !number.is_empty() => (Some(*branch), number),
            _ => (None, rest),
        };
        let number = i64::from_be_bytes(number.try_into().ok()?);
        (head == mark(log) && number >= 0).then_some(Self { branch, number })
    }

    /// Whether what it stands for is in a log with this head and these branches, each with its first position, in their order: on the
    /// token's branch, or on one that went on from there behind it.
    #[must_use]
    pub(crate) fn stands(&self, branches: &[(Uuid, i64)], head: i64) -> bool {
        if self.number == 0 {
            return true;
        }
        let of = |mark: [u8; 8]| branches.iter().position(|(branch, _)| branch.as_bytes().starts_with(&mark));
        let Some(own) = self.branch.map_or(Some(0), of) else { return false };
        self.number <= head && branches.iter().skip(own + 1).all(|(_, first)| self.number < *first)
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
        let token = PositionToken { branch: Some([7; 8]), number: 42 };
        let text = token.encode(LOG);
        assert_eq!(PositionToken::decode(&text, LOG), Some(token));
        assert_eq!(PositionToken::decode(&text, OTHER), None);
        let before = PositionToken { branch: None, number: 42 };
        assert_eq!(PositionToken::decode(&before.encode(LOG), LOG), Some(before), "of the release before");
        for broken in ["42", "", &text[..text.len() - 2], &format!("{text}AAAA")] {
            assert_eq!(PositionToken::decode(broken, LOG), None, "{broken}");
        }
    }

    #[test]
    fn a_position_stands_as_long_as_no_later_branch_begins_at_or_before_it() {
        let (first, second, third) = (Uuid::from_u128(1 << 64), Uuid::from_u128(2 << 64), Uuid::from_u128(3 << 64));
        let branches = [(first, 1), (second, 101), (third, 91)];
        let on = |branch: Uuid, number| {
            PositionToken { branch: branch.as_bytes()[..8].try_into().ok(), number }.stands(&branches, 120)
        };
        for (branch, number, stands) in [
            (first, 90, true),
            (first, 91, false),
            (first, 101, false),
            (second, 90, true),
            (second, 91, false),
            (second, 120, false),
            (third, 91, true),
            (third, 120, true),
            (third, 121, false),
            (Uuid::from_u128(4 << 64), 5, false),
        ] {
            assert_eq!(on(branch, number), stands, "{branch} {number}");
        }
        let before = |number| PositionToken { branch: None, number }.stands(&branches, 120);
        assert!(before(90) && !before(91) && before(0), "of the release before: the first branch's");
        assert!(PositionToken { branch: None, number: 120 }.stands(&branches[..1], 120));
    }
}
