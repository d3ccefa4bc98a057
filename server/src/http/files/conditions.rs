//! What a request asks of a file: another version than the one it has, or a part of it (RFC 9110, 13 and 14). Pure.
//!
//! Two crates were tried and not taken: `headers` 0.4 panics on a blank in an `If-None-Match` in builds with debug assertions, and it and
//! `http-range-header` 0.4 refuse a suffix that is longer than the file, which is the whole file.

use std::ops::Range;

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, Method};

/// What is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// 200, all of it.
    Whole,
    /// 206, these bytes.
    Part(Range<u64>),
    /// 304: the client has this version.
    NotModified,
    /// 412: the client wanted a version that this is not.
    OtherVersion,
    /// 416: the file has no such bytes.
    OutOfRange,
}

/// What a `GET` or `HEAD` wants of a file of so many bytes, whose version has this strong entity tag (without its quotes). A range that is
/// malformed, in another unit, or one of several is ignored, as the RFC allows.
pub fn wanted(method: &Method, headers: &HeaderMap, tag: &str, bytes: u64) -> Wanted {
    if names(headers, IF_MATCH, tag, false) == Some(false) {
        return Wanted::OtherVersion;
    }
    if names(headers, IF_NONE_MATCH, tag, true) == Some(true) {
        return Wanted::NotModified;
    }
    // A date is never the right one: there is no Last-Modified.
    let same = headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == format!("\"{tag}\"").as_bytes());
    let mut ranges = headers.get_all(RANGE).iter();
    match (ranges.next(), ranges.next()) {
        (Some(range), None) if *method == Method::GET && same => part(range.as_bytes(), bytes),
        _ => Wanted::Whole,
    }
}

/// Whether a list of entity tags has this one, weak ones only where they count; `None` when there is no list.
fn names(headers: &HeaderMap, list: HeaderName, tag: &str, weak_counts: bool) -> Option<bool> {
    let mut values = headers.get_all(list).iter().peekable();
    values.peek()?;
    Some(values.any(|value| {
        let value = value.as_bytes().trim_ascii();
        let mut parts = value.split(|b| *b == b'"');
        let mut weak = parts.next().is_some_and(|before| before.ends_with(b"W/"));
        let mut found = value == b"*";
        // Between two quotes stands a tag, and then what stands before the next one.
        while let (Some(quoted), Some(after)) = (parts.next(), parts.next()) {
            found |= quoted == tag.as_bytes() && (weak_counts || !weak);
            weak = after.ends_with(b"W/");
        }
        found
    }))
}

fn part(range: &[u8], bytes: u64) -> Wanted {
    let parsed = || {
        let (unit, spec) = std::str::from_utf8(range).ok()?.split_once('=')?;
        let (first, last) = spec.trim_matches([' ', '\t']).split_once('-')?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        // No file is so large that a number is too large to be read.
        let number = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX));
        (unit.eq_ignore_ascii_case("bytes") && digits(first) && digits(last)).then(|| (number(first), number(last)))
    };
    match parsed() {
        None | Some((None, None)) => Wanted::Whole,
        Some((Some(first), Some(last))) if last < first => Wanted::Whole,
        Some((Some(first), _)) if first >= bytes => Wanted::OutOfRange,
        Some((Some(first), last)) => Wanted::Part(first..last.map_or(bytes, |last| last.saturating_add(1).min(bytes))),
        Some((None, Some(0))) => Wanted::OutOfRange,
        Some((None, Some(_))) if bytes == 0 => Wanted::OutOfRange,
        Some((None, Some(length))) => Wanted::Part(bytes.saturating_sub(length)..bytes),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(method: &Method, headers: &[(&'static str, &str)], bytes: u64) -> Wanted {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        wanted(method, &map, "v1", bytes)
    }

    #[test]
    fn a_range_is_the_bytes_it_names_or_none() {
        use Wanted::{OutOfRange, Part, Whole};
        for (range, wanted) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=5-", Part(5..10)),
            ("bytes=0-", Part(0..10)),
            ("bytes=9-9", Part(9..10)),
            ("bytes=3-1000", Part(3..10)),
            ("bytes=3-99999999999999999999999999", Part(3..10)),
            ("bytes=-1", Part(9..10)),
            ("bytes=-10", Part(0..10)),
            ("bytes=-11", Part(0..10)),
            ("bytes=-99999999999999999999999999", Part(0..10)),
            ("Bytes= 2-3", Part(2..4)),
            ("BYTES=002-003", Part(2..4)),
            ("bytes=10-", OutOfRange),
            ("bytes=10-20", OutOfRange),
            ("bytes=18446744073709551615-", OutOfRange),
            ("bytes=99999999999999999999999999-", OutOfRange),
            ("bytes=-0", OutOfRange),
            ("bytes=5-4", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes", Whole),
            ("", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-+2", Whole),
            ("bytes=--2", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes=1 -2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=0-1,", Whole),
            ("items=0-1", Whole),
            ("bytes=\u{661}-\u{662}", Whole),
        ] {
            assert_eq!(asked(&Method::GET, &[("range", range)], 10), wanted, "{range:?}");
        }
        assert_eq!(asked(&Method::GET, &[("range", "bytes=0-")], 0), OutOfRange);
        assert_eq!(asked(&Method::GET, &[("range", "bytes=-5")], 0), OutOfRange);
        assert_eq!(asked(&Method::GET, &[("range", "bytes=0-1"), ("range", "bytes=0-1")], 10), Whole);
        assert_eq!(asked(&Method::HEAD, &[("range", "bytes=0-1")], 10), Whole, "ranges are for GET");
        assert_eq!(asked(&Method::HEAD, &[("range", "bytes=99-")], 10), Whole);
    }

    #[test]
    fn a_version_that_the_client_has_is_not_sent_again() {
        use Wanted::{NotModified, OtherVersion, Whole};
        for (tags, none_match, matches) in [
            ("\"v1\"", NotModified, Whole),
            ("W/\"v1\"", NotModified, OtherVersion),
            ("*", NotModified, Whole),
            ("\"a\", \"v1\"", NotModified, Whole),
            ("\"a\",W/\"v1\",\"b\"", NotModified, OtherVersion),
            ("W/\"a\", \"v1\"", NotModified, Whole),
            ("\"a, b\", \"v1\"", NotModified, Whole),
            ("\"a b\"", Whole, OtherVersion),
            ("\"V1\"", Whole, OtherVersion),
            ("\"v10\"", Whole, OtherVersion),
            ("v1", Whole, OtherVersion),
            ("\"v1", Whole, OtherVersion),
            ("v1\"", Whole, OtherVersion),
            ("\", v1, \"", Whole, OtherVersion),
            ("\"\"", Whole, OtherVersion),
            ("", Whole, OtherVersion),
            ("\"\u{e4}\"", Whole, OtherVersion),
        ] {
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(asked(&method, &[("if-none-match", tags)], 10), none_match, "{tags:?}");
                assert_eq!(asked(&method, &[("if-match", tags)], 10), matches, "{tags:?}");
            }
        }
        assert_eq!(asked(&Method::GET, &[("if-none-match", "\"a\""), ("if-none-match", "\"v1\"")], 10), NotModified);
        let both = [("if-none-match", "\"v1\""), ("range", "bytes=0-1")];
        assert_eq!(asked(&Method::GET, &both, 10), NotModified, "before the range");
    }

    #[test]
    fn a_part_of_another_version_is_not_sent() {
        for (if_range, part) in [
            ("\"v1\"", true),
            ("W/\"v1\"", false),
            ("\"v2\"", false),
            ("v1", false),
            ("Sat, 29 Oct 1994 19:43:31 GMT", false),
        ] {
            let wanted = asked(&Method::GET, &[("range", "bytes=0-1"), ("if-range", if_range)], 10);
            assert_eq!(wanted == Wanted::Part(0..2), part, "{if_range}");
            assert!(part || wanted == Wanted::Whole);
        }
    }
}
