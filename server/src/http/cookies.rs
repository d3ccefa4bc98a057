//! Cookies, read as octets: one is found by its whole name, whatever stands beside it.
//!
//! Browsers send what any page of the host or its parent domain ever set, so that one cookie must not hide another: pairs end at a
//! semicolon, with a blank or without; what is no pair, has no name, or is no text is passed over. Of two of one name the first
//! counts, which is the one with the longer path.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::header_value::unquoted;

/// The value of a cookie, without the quotes around it; empty when it says nothing.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, [u8]>> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|byte| *byte == b';')).find_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        (pair[..at].trim_ascii() == name.as_bytes()).then(|| unquoted(pair[at + 1..].trim_ascii()))
    })
}

/// The same as text; `None` for octets that are none, which no token of ours is.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    find(headers, name).and_then(|value| String::from_utf8(value.into_owned()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `Cookie`, and the value of the cookie `s` in them.
    type Row = (&'static [&'static [u8]], Option<&'static [u8]>);

    #[test]
    fn a_cookie_is_found_by_its_whole_name_whatever_stands_beside_it() {
        let table: [Row; 28] = [
            (&[], None),
            (&[b""], None),
            (&[b"s=tok"], Some(b"tok")),
            (&[b"a=1; s=tok; b=2"], Some(b"tok")),
            (&[b"a=1;s=tok"], Some(b"tok")),
            (&[b"a=1;s=tok;b=2"], Some(b"tok")),
            (&[b"a=1;;s=tok"], Some(b"tok")),
            (&[b";; ;s=tok; ;"], Some(b"tok")),
            (&[b"a=1;\t s = tok "], Some(b"tok")),
            (&[b"a=\xe9\xff; s=tok"], Some(b"tok")),
            (&[b"\xe9=1; s=tok"], Some(b"tok")),
            (&[b"a=1", b"s=tok"], Some(b"tok")),
            (&[b"\xff\xfe", b"s=tok", b"c=3"], Some(b"tok")),
            (&[b"s=\"tok\""], Some(b"tok")),
            (&[b"a=\"x;s=tok;y\""], Some(b"tok")),
            (&[b"a=\"; s=tok"], Some(b"tok")),
            (&[b"=1; s=tok"], Some(b"tok")),
            (&[b"bare; s=tok"], Some(b"tok")),
            (&[b"{\"json\":[1,2]}; s=tok"], Some(b"tok")),
            (&[b"s=one; s=two"], Some(b"one")),
            (&[b"s=one", b"s=two"], Some(b"one")),
            (&[b"s=a=b"], Some(b"a=b")),
            (&[b"s="], Some(b"")),
            (&[b"s"], None),
            (&[b"xs=tok"], None),
            (&[b"S=tok"], None),
            (&[b"=s=tok"], None),
            (&[b"sx=tok; x-s=tok"], None),
        ];
        for (lines, expected) in table {
            let line = |line: &&[u8]| (header::COOKIE, HeaderValue::from_bytes(line).expect("a header's octets"));
            let headers: HeaderMap = lines.iter().map(line).collect();
            let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
            assert_eq!(find(&headers, "s").as_deref(), expected, "{shown:?}");
        }
    }
}
