//! `Prefer` (RFC 7240), of which we know `wait`. What is unknown, malformed or impossible is no error: it is passed over.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::header_value::{name_and_value, parts};

/// The longest wait that can be asked for, seconds.
const LONGEST_WAIT: u64 = 60;

/// A wait that was asked for and will be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(u64);

impl Wait {
    /// The first `wait` of the request, if it is 0 to 60 whole seconds. Of several the first counts, as the standard says: when that
    /// one is impossible, the request has none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all("prefer").iter().map(HeaderValue::as_bytes);
        let mut preferences = values.flat_map(|value| parts(value, b',')).filter_map(|preference| {
            // Behind a semicolon are parameters; none is known of `wait`.
            parts(preference, b';').next().map(name_and_value)
        });
        let (_, value) = preferences.find(|(name, _)| name.eq_ignore_ascii_case(b"wait"))?;
        let value = value.filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit))?;
        let seconds = std::str::from_utf8(&value).ok()?.parse().ok()?;
        (seconds <= LONGEST_WAIT).then_some(Self(seconds))
    }

    /// How long.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// The header that says it was kept.
    pub fn applied(self) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_str(&format!("wait={}", self.0)).expect("digits are a header's letters");
        (HeaderName::from_static("preference-applied"), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wait_counts_and_everything_else_is_passed_over() {
        let table: [(&[&[u8]], Option<u64>); 34] = [
            (&[], None),
            (&[b""], None),
            (&[b"wait=0"], Some(0)),
            (&[b"wait=60"], Some(60)),
            (&[b"wait=007"], Some(7)),
            (&[b"WAIT=5"], Some(5)),
            (&[b"wait=\"5\""], Some(5)),
            (&[b"wait=\"\\5\""], Some(5)),
            (&[b"wait = 5"], Some(5)),
            (&[b" wait=5 ,"], Some(5)),
            (&[b"wait=5; foo=bar; baz"], Some(5)),
            (&[b"wait=5;foo=\"a, wait=9\""], Some(5)),
            (&[b"respond-async, wait=5"], Some(5)),
            (&[b"respond-async", b"wait=5"], Some(5)),
            (&[b"foo; wait=9, wait=5"], Some(5)),
            (&[b"foo=\"a, wait=9\", wait=5"], Some(5)),
            (&[b"foo=\"\\\", wait=9\", wait=5"], Some(5)),
            (&[b"foo=\xe9\xff, wait=5"], Some(5)),
            (&[b"wait=5, wait=9"], Some(5)),
            (&[b"wait=5", b"wait=9"], Some(5)),
            (&[b"wait=x, wait=9"], None),
            (&[b"wait=61"], None),
            (&[b"wait=99999999999999999999999"], None),
            (&[b"wait=-1"], None),
            (&[b"wait=+1"], None),
            (&[b"wait=1.5"], None),
            (&[b"wait=1s"], None),
            (&[b"wait=1 2"], None),
            (&[b"wait"], None),
            (&[b"wait="], None),
            (&[b"wait=\"\""], None),
            (&[b"wait=\"5"], None),
            (&[b"waiting=5, x-wait=5, \"wait\"=5"], None),
            (&[b"respond-async, return=minimal, handling=lenient"], None),
        ];
        for (lines, expected) in table {
            let line = |line: &&[u8]| {
                (HeaderName::from_static("prefer"), HeaderValue::from_bytes(line).expect("a header's octets"))
            };
            let headers: HeaderMap = lines.iter().map(line).collect();
            let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
            assert_eq!(Wait::of(&headers).map(|wait| wait.0), expected, "{shown:?}");
        }
        assert_eq!(Wait(5).applied().1, "wait=5");
    }
}
