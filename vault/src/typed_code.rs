//! What people type between the letters and digits of a code, or paste along with them.

/// Whether a character only separates: a blank of any kind, a hyphen or dash of any kind, or one that is not seen at all. Authenticators and
/// printed codes show groups, and copying one takes such characters along.
pub(crate) fn separates(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' // hyphens, dashes, minus
            | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}
