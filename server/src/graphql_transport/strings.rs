//! String tokens of GraphQL documents: block strings and the escapes of the specification of September 2025 in the notation that every parser
//! reads alike.

use std::borrow::Cow;

/// A string token, quotes included, with the same value as a plain string without `\u{...}`, without escaped surrogates and without control
/// characters as themselves; borrowed when it is one. None for an escape that is none, a lone surrogate among them.
pub(super) fn decode(token: &str) -> Option<Cow<'_, str>> {
    if let Some(raw) = token.strip_prefix("\"\"\"").and_then(|rest| rest.strip_suffix("\"\"\"")) {
        return Some(Cow::Owned(plain(&block_value(raw))));
    }
    if !token.bytes().any(|byte| byte == b'\\' || byte < b' ') {
        return Some(Cow::Borrowed(token));
    }
    let mut decoded = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(c) = rest.chars().next() {
        let (length, character) = match c {
            '\\' => escape(&rest[1..])?,
            c => (c.len_utf8(), Meant::Itself(c)),
        };
        match character {
            Meant::Itself(c) if c < ' ' => decoded.push_str(&format!("\\u{:04X}", u32::from(c))),
            Meant::Itself(c) => decoded.push(c),
            Meant::Escaped(c) => encode(c, &mut decoded),
            Meant::AsWritten => decoded.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    Some(if decoded == token { Cow::Borrowed(token) } else { Cow::Owned(decoded) })
}

/// `BlockStringValue` of the specification: without the indentation that all lines but the first share, and without blank lines at both ends.
fn block_value(raw: &str) -> String {
    let raw = raw.replace("\\\"\"\"", "\"\"\"").replace("\r\n", "\n").replace('\r', "\n");
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let blank = |line: &str| indent(line) == line.len();
    let common = raw.split('\n').skip(1).filter(|line| !blank(line)).map(indent).min().unwrap_or(0);
    let lines: Vec<&str> = raw
        .split('\n')
        .enumerate()
        .map(|(n, line)| if n == 0 { line } else { line.get(common..).unwrap_or_default() })
        .collect();
    let (Some(first), Some(last)) =
        (lines.iter().position(|line| !blank(line)), lines.iter().rposition(|line| !blank(line)))
    else {
        return String::new();
    };
    lines[first..=last].join("\n")
}

/// A value as a plain string token.
fn plain(value: &str) -> String {
    let mut token = String::with_capacity(value.len() + 2);
    token.push('"');
    value.chars().for_each(|c| encode(c, &mut token));
    token.push('"');
    token
}

/// What a piece of a string stands for.
enum Meant {
    /// A character that is not escaped.
    Itself(char),
    /// A character written by its number.
    Escaped(char),
    /// An escape that every parser knows.
    AsWritten,
}

/// The escape behind a backslash, with its length, that of the backslash included.
fn escape(rest: &str) -> Option<(usize, Meant)> {
    match rest.as_bytes().first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some((2, Meant::AsWritten)),
        b'u' if rest[1..].starts_with('{') => {
            let digits = rest[2..].split_once('}')?.0;
            let c = char::from_u32(hexadecimal(digits)?)?;
            Some((digits.len() + 4, Meant::Escaped(c)))
        }
        b'u' => {
            let first = hexadecimal(rest.get(1..5)?)?;
            if let Some(c) = char::from_u32(first) {
                return Some((6, Meant::Escaped(c)));
            }
            let second = hexadecimal(rest.get(5..)?.strip_prefix("\\u")?.get(..4)?)?;
            let [first, second] = [first, second].map(|unit| u16::try_from(unit).ok());
            let c = char::decode_utf16([first?, second?]).next()?.ok()?;
            Some((12, Meant::Escaped(c)))
        }
        _ => None,
    }
}

/// The number of one or more hexadecimal digits.
fn hexadecimal(digits: &str) -> Option<u32> {
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    // As many zeros in front as one likes.
    let digits = digits.trim_start_matches('0');
    match (valid, digits.is_empty()) {
        (false, _) => None,
        (true, true) => Some(0),
        (true, false) => u32::from_str_radix(digits, 16).ok(),
    }
}

/// Writes a character so that it is itself in every parser.
fn encode(c: char, into: &mut String) {
    match c {
        '\n' => into.push_str("\\n"),
        '\r' => into.push_str("\\r"),
        '\t' => into.push_str("\\t"),
        '"' => into.push_str("\\\""),
        '\\' => into.push_str("\\\\"),
        c if c < ' ' => into.push_str(&format!("\\u{:04X}", u32::from(c))),
        c => into.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_escapes_become_what_every_parser_reads() {
        for (token, expected) in [
            (r#""plain""#, r#""plain""#),
            (r#""\" \\ \/ \b \f \n \r \t""#, r#""\" \\ \/ \b \f \n \r \t""#),
            (r#""\u{41}\u{0000041}\u{1F600}\u{10FFFF}""#, "\"AA\u{1F600}\u{10FFFF}\""),
            (r#""\u0041\u00e9""#, "\"A\u{e9}\""),
            (r#""\uD83D\uDE00!\ud83d\ude00""#, "\"\u{1F600}!\u{1F600}\""),
            (r#""\u0022\u005c\u{22}\u{5C}""#, r#""\"\\\"\\""#),
            (r#""\u{0}\u{A}\u0000""#, r#""\u0000\n\u0000""#),
            (r#""\\u{41}""#, r#""\\u{41}""#),
            ("\"a\tb\u{7}\"", r#""a\u0009b\u0007""#),
            (r#""""\u{41} \uD83D""""#, r#""\\u{41} \\uD83D""#),
            ("\"\"\"\"\"\"", r#""""#),
            (r#""""a \""" "b" ""c""""#, r#""a \"\"\" \"b\" \"\"c""#),
            ("\"\"\"\n\n  a\r\n\t\n    b\r   c \n  \n\"\"\"", r#""a\n\n  b\n c ""#),
            ("\"\"\" a\n  b\n\"\"\"", r#"" a\nb""#),
            ("\"\"\"\n \n\t\n\"\"\"", r#""""#),
        ] {
            assert_eq!(decode(token).as_deref(), Some(expected), "{token}");
        }
    }

    #[test]
    fn b3_escapes_that_are_none_are_refused() {
        for token in [
            r#""\a""#,
            r#""\U0041""#,
            r#""\u{}""#,
            r#""\u{110000}""#,
            r#""\u{D83D}""#,
            r#""\u{41""#,
            r#""\u{4G}""#,
            r#""\u{FFFFFFFFFF}""#,
            r#""\u00e""#,
            r#""\u+041""#,
            r#""\uD83D""#,
            r#""\uDE00""#,
            r#""\uDE00\uD83D""#,
            r#""\uD83D\u{DE00}""#,
            r#""\uD83Dx""#,
            "\"\\u00\u{e9}\"",
            "\"\\\u{e9}\"",
        ] {
            assert_eq!(decode(token), None, "{token}");
        }
    }
}
