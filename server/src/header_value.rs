//! Header values read as octets: where their parts end by the quoting of RFC 9110, and what two of our APIs ask of a JSON body.

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// The parts of a value between separators that stand outside of quoted strings, without the blanks around them. A quoted string that
/// is not closed goes on to the end.
pub(crate) fn parts(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = move |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte => return !quoted && *byte == separator,
        }
        false
    };
    value.split(ends).map(<[u8]>::trim_ascii)
}

/// A part's name, and its value if it has one: `name=value`, with blanks around the `=` or without.
pub(crate) fn name_and_value(part: &[u8]) -> (&[u8], Option<Cow<'_, [u8]>>) {
    match part.iter().position(|byte| *byte == b'=') {
        Some(at) => (part[..at].trim_ascii(), Some(unquoted(part[at + 1..].trim_ascii()))),
        None => (part, None),
    }
}

/// What a quoted string says; anything else as it stands.
pub(crate) fn unquoted(word: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = word.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Cow::Borrowed(word);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut escaped = false;
    let said = inner.iter().copied().filter(|byte| {
        escaped = *byte == b'\\' && !escaped;
        !escaped
    });
    Cow::Owned(said.collect())
}

/// Whether the body is said to be JSON: one `Content-Type`, `application/json`, whose `charset`, if any, is UTF-8. Other parameters
/// mean nothing for JSON (RFC 8259) and are not looked at, well-formed or not.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let mut parts = parts(value.as_bytes(), b';');
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(b"application/json"));
    json && parts.map(name_and_value).all(|(name, value)| {
        let utf8 = |value: Cow<'_, [u8]>| value.eq_ignore_ascii_case(b"utf-8") || value.eq_ignore_ascii_case(b"utf8");
        !name.eq_ignore_ascii_case(b"charset") || value.is_some_and(utf8)
    })
}

/// Whether the body is compressed or encoded otherwise, which nothing here reads.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| parts(value.as_bytes(), b','));
    codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, values: &[&[u8]]) -> HeaderMap {
        let value = |value: &&[u8]| (name.clone(), HeaderValue::from_bytes(value).expect("a header's octets"));
        values.iter().map(value).collect()
    }

    #[test]
    fn parts_end_outside_of_quotes_only() {
        let split = |value: &'static str| {
            parts(value.as_bytes(), b',').map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(split("a, b=\"c, d\" ,e"), ["a", "b=\"c, d\"", "e"]);
        assert_eq!(split(r#"a="\", b", c"#), [r#"a="\", b""#, "c"]);
        assert_eq!(split("a=\"b, c"), ["a=\"b, c"], "not closed");
        assert_eq!(split(",, a"), ["", "", "a"]);
        assert_eq!(unquoted(br#""a\"b\\c""#).as_ref(), br#"a"b\c"#);
        assert_eq!(unquoted(b"\"").as_ref(), b"\"");
        assert_eq!(unquoted(b"\"\"").as_ref(), b"");
    }

    #[test]
    fn json_is_known_by_its_name_whatever_parameters_follow() {
        let right: [&[u8]; 17] = [
            b"application/json",
            b"Application/JSON",
            b" application/json ",
            b"application/json;",
            b"application/json ;",
            b"application/json; ; ",
            b"application/json; charset=utf-8",
            b"application/json;charset=\"UTF-8\"",
            b"application/json; CHARSET=Utf8",
            b"application/json; charset=utf-8; foo=bar",
            b"application/json; foo=\"a;charset=latin1\"",
            b"application/json; profile=\"https://example.com/p\"; v=1",
            b"application/json; boundary=x",
            b"application/json; nonsense",
            b"application/json; =",
            b"application/json; foo=\xe9",
            b"application/json; foo=\"not closed",
        ];
        for value in right {
            assert!(is_json(&headers(CONTENT_TYPE, &[value])), "{}", String::from_utf8_lossy(value));
        }
        let wrong: [&[&[u8]]; 13] = [
            &[],
            &[b""],
            &[b";"],
            &[b"text/plain"],
            &[b"application/jsonp"],
            &[b"application/json, text/plain"],
            &[b"application/json, application/json"],
            &[b"application/graphql"],
            &[b"application/json; charset=latin1"],
            &[b"application/json; charset"],
            &[b"application/json; charset=utf-8; charset=utf-16"],
            &[b"application/json", b"application/json"],
            &[b"application/j\xffson"],
        ];
        for values in wrong {
            assert!(!is_json(&headers(CONTENT_TYPE, values)), "{values:?}");
        }
    }

    #[test]
    fn every_coding_but_identity_is_one() {
        let table: [(&[&[u8]], bool); 9] = [
            (&[], false),
            (&[b"identity"], false),
            (&[b"Identity, identity"], false),
            (&[b""], false),
            (&[b"gzip"], true),
            (&[b"GZIP"], true),
            (&[b"identity, br"], true),
            (&[b"identity", b"zstd"], true),
            (&[b"\xff"], true),
        ];
        for (values, expected) in table {
            assert_eq!(is_encoded(&headers(CONTENT_ENCODING, values)), expected, "{values:?}");
        }
    }
}
