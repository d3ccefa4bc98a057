//! What every free text has in common: which characters are refused, what counts as a line break, what can be seen, and how much may stand
//! for one character.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use super::invalid;
use crate::invalid::{Invalid, Reason, length};

/// The most bytes of what a person sees as one character (an extended grapheme cluster, Unicode UAX 29), in UTF-8 and NFC. A family of four
/// in the tones of their skin has 41, a letter with a dozen marks 25.
pub const CHARACTER_BYTES: usize = 64;

/// How many lines a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// One: a name or a label. It stands between other texts, so it cannot turn the direction of writing.
    One,
    /// Any number.
    Many,
}

/// A page or line that ends: what word processors put between lines, and NEL. All of them become a line feed.
const fn ends_line(c: char) -> bool {
    matches!(c, '\u{B}' | '\u{C}' | '\u{85}')
}

/// What can be kept of a text: vertical tabs, form feeds and NEL are line feeds where lines are allowed, everything else stays as it was
/// written.
///
/// # Errors
/// For NUL and other control characters; for bidirectional embeddings and overrides, because they let a text lie (U27); for
/// bidirectional isolates in a single line, and where they are not closed again in the same text; for noncharacters, which Unicode keeps out of
/// interchange and readers replace or refuse; for a character of more than [`CHARACTER_BYTES`].
pub(super) fn kept(text: &str, lines: Lines) -> Result<String, Invalid> {
    let breaks = |c: char| lines == Lines::Many && matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}');
    let text: String = match lines {
        Lines::One => text.to_owned(),
        Lines::Many => text.chars().map(|c| if ends_line(c) { '\n' } else { c }).collect(),
    };
    if text.chars().any(|c| (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) && !breaks(c)) {
        return invalid(Reason::Characters, "must not contain control characters");
    }
    if text.chars().any(|c| matches!(c, '\u{202A}'..='\u{202E}')) {
        return invalid(Reason::Characters, "must not contain bidirectional embeddings or overrides");
    }
    isolates(&text, lines)?;
    if text.chars().any(|c| matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE) {
        return invalid(Reason::Characters, "must not contain noncharacters of Unicode");
    }
    if text.graphemes(true).any(|character| character.len() > CHARACTER_BYTES) {
        return invalid(Reason::Characters, "must not contain a character of more than 64 bytes, marks included");
    }
    Ok(text)
}

/// Isolates hold a piece of text of another direction. Closed, they reach no further than the text that they stand in.
fn isolates(text: &str, lines: Lines) -> Result<(), Invalid> {
    let mut open = 0_usize;
    for c in text.chars() {
        match c {
            '\u{2066}'..='\u{2069}' if lines == Lines::One => {
                return invalid(Reason::Characters, "must not contain bidirectional isolates");
            }
            '\u{2066}'..='\u{2068}' => open += 1,
            '\u{2069}' if open == 0 => {
                return invalid(Reason::Characters, "must not close an isolate that is not open");
            }
            '\u{2069}' => open -= 1,
            // The end of a paragraph closes what is open (UAX 9, X8), so a later character would close nothing.
            '\n' | '\r' | '\u{2029}' if open > 0 => break,
            _ => {}
        }
    }
    if open > 0 { invalid(Reason::Characters, "must close each isolate in the line that opens it") } else { Ok(()) }
}

/// Whether a person sees a character by itself: no blank, no control or format character, no mark without a letter, no filler, nothing that is
/// ignored by default, nothing of private use. What Unicode has not assigned yet counts: it may be younger than this program.
fn is_visible(c: char) -> bool {
    // Letters, symbols and reserved places that are shown as nothing: fillers, the empty Braille cell, and ranges that are ignored by default.
    if matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' | '\u{2065}'
        | '\u{FFF0}'..='\u{FFF8}' | '\u{E0000}'..='\u{E0FFF}' | '\u{1D159}')
    {
        return false;
    }
    !c.is_whitespace()
        && !matches!(
            c.general_category(),
            Category::Control
                | Category::Format
                | Category::PrivateUse
                | Category::Surrogate
                | Category::SpaceSeparator
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::NonspacingMark
                | Category::SpacingMark
                | Category::EnclosingMark
        )
}

/// Whether a text shows anything at all.
pub(super) fn shows(text: &str) -> bool {
    text.chars().any(is_visible)
}

/// A text in NFC without blanks around it, of so many characters as a person counts them. One that shows nothing is empty.
pub(super) fn line(text: &str, range: RangeInclusive<usize>, lines: Lines) -> Result<String, Invalid> {
    let most = range.end().saturating_mul(CHARACTER_BYTES);
    // NFC has at least a third of the bytes (Hangul): a text that is too long in any form is not worth the work.
    if text.len() > most.saturating_mul(3) {
        length(usize::MAX, &range, "characters")?;
    }
    let text: String = kept(&text.nfc().collect::<String>(), lines)?;
    let text = if shows(&text) { text.trim() } else { "" };
    length(text.graphemes(true).count(), &range, "characters")?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Bio, DisplayName, IdentityLabel, KeyLabel, Prompt, StaffReason};
    use super::*;

    const FAMILY: &str =
        "\u{1F468}\u{1F3FB}\u{200D}\u{1F469}\u{1F3FD}\u{200D}\u{1F467}\u{1F3FE}\u{200D}\u{1F466}\u{1F3FF}";

    fn why<T>(parsed: Result<T, Invalid>) -> Option<Reason> {
        parsed.err().map(|refused| refused.reason)
    }

    /// What each kind of text says to one input: names and labels, then texts of many lines.
    fn of_all(text: &str) -> [Option<Reason>; 6] {
        [
            why(DisplayName::parse(text)),
            why(KeyLabel::parse(text)),
            why(IdentityLabel::parse(text)),
            why(Prompt::parse(text)),
            why(StaffReason::parse(text)),
            why(Bio::parse(text)),
        ]
    }

    #[test]
    fn a17_what_shows_nothing_is_empty_whatever_it_is_made_of() {
        for nothing in [
            "",
            " ",
            "\u{a0}",
            "\u{3000}",
            "\u{200b}",
            "\u{200c}\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{180e}",
            "\u{115f}",
            "\u{1160}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{301}",
            "\u{20dd}",
            "\u{903}",
            "\u{e000}",
            "\u{10fffd}",
            "\u{e0001}",
            "\u{e0100}",
            "\u{17b4}",
            "\u{2063} \u{2064}",
            "\u{1d173}",
            "\u{200e}\u{200f}",
            "\u{180b}",
        ] {
            let [name, label, identity, prompt, reason, bio] = of_all(nothing);
            for refused in [name, label, identity, prompt, reason] {
                assert_eq!(refused, Some(Reason::TooShort), "{nothing:?}");
            }
            assert_eq!(bio, None, "{nothing:?}");
            assert_eq!(Bio::parse(nothing).unwrap().as_ref(), "", "a biography that shows nothing is none");
        }
        for something in [
            "a",
            "\u{2d}",
            ".",
            "\u{b7}",
            "\u{661}",
            "\u{4e2d}",
            "\u{1F600}",
            FAMILY,
            "\u{200b}a",
            "e\u{301}",
            "\u{915}\u{93e}",
            "\u{20ac}",
            "\u{378}",
        ] {
            assert_eq!(of_all(something), [None; 6], "{something:?}");
        }
    }

    #[test]
    fn v04_so_many_characters_of_any_kind_and_none_of_a_thousand_marks() {
        for character in [
            "x",
            "e\u{301}",
            FAMILY,
            "\u{1F468}\u{200D}\u{2764}\u{FE0F}\u{200D}\u{1F48B}\u{200D}\u{1F468}",
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "\u{915}\u{94d}\u{937}\u{93f}",
        ] {
            assert_eq!(why(Bio::parse(&character.repeat(160))), None, "{character}");
            assert_eq!(why(Bio::parse(&character.repeat(161))), Some(Reason::TooLong), "{character}");
            assert_eq!(why(DisplayName::parse(&character.repeat(50))), None, "{character}");
            assert_eq!(why(DisplayName::parse(&character.repeat(51))), Some(Reason::TooLong), "{character}");
        }
        // 31 marks of two bytes fit beside a letter, 32 do not.
        for (marks, refused) in [(31, None), (32, Some(Reason::Characters)), (1_279, Some(Reason::Characters))] {
            let text = format!("x{}", "\u{302}".repeat(marks));
            assert_eq!(of_all(&text), [refused; 6], "{marks}");
        }
    }

    #[test]
    fn u27_which_characters_are_refused_where() {
        let characters = Some(Reason::Characters);
        for everywhere in
            ["a\0b", "a\u{7}b", "a\u{7f}b", "a\u{202a}b\u{202c}", "a\u{202E}b", "a\u{FDD0}b", "a\u{10FFFF}b"]
        {
            assert_eq!(of_all(everywhere), [characters; 6], "{everywhere:?}");
        }
        let (one, many) = (characters, None);
        for in_names in [
            "a\nb",
            "a\u{b}b",
            "a\u{c}b",
            "a\u{85}b",
            "a\tb",
            "a\u{2028}b",
            "\u{2067}\u{5d0}\u{2069} b",
            "a \u{2066}b\u{2068}c\u{2069}\u{2069}",
        ] {
            assert_eq!(of_all(in_names), [one, one, one, many, many, many], "{in_names:?}");
        }
        for unbalanced in [
            "a\u{2066}b",
            "a\u{2069}b",
            "\u{2067}a\u{2069}\u{2069}",
            "\u{2067}a\nb\u{2069}",
            "\u{2068}\u{2067}a\u{2069}",
        ] {
            assert_eq!(of_all(unbalanced), [characters; 6], "{unbalanced:?}");
        }
        // Marks of direction hold nothing open.
        assert_eq!(of_all("a\u{200e}b\u{200f}c\u{61c}d"), [None; 6]);
    }

    #[test]
    fn a_pasted_vertical_tab_is_a_line_feed() {
        assert_eq!(Prompt::parse("a\u{b}b\u{c}c\u{85}d\r\ne").unwrap().as_ref(), "a\nb\nc\nd\r\ne");
        assert_eq!(Bio::parse("\u{b}a\u{b}b\u{b}").unwrap().as_ref(), "a\nb");
        let isolated = "draw \u{2067}\u{5d0}\u{5d1}\u{2069} in ink";
        assert_eq!(Prompt::parse(isolated).unwrap().as_ref(), isolated, "kept as it was written");
    }

    proptest! {
        #[test]
        fn what_was_kept_is_kept_again_and_stays_within_its_bounds(text in "\\PC{0,80}|[\\x00-\\u{ff}\\u{300}-\\u{310}\\u{2028}-\\u{202f}\\u{2066}-\\u{2069}\u{200d}\u{1F468}]{0,60}") {
            if let Ok(name) = DisplayName::parse(&text) {
                let name = name.as_ref();
                prop_assert!(shows(name) && name.len() <= 50 * CHARACTER_BYTES);
                let again = DisplayName::parse(name).unwrap();
                prop_assert_eq!(again.as_ref(), name);
            }
            if let Ok(prompt) = Prompt::parse(&text) {
                let again = Prompt::parse(prompt.as_ref()).unwrap();
                prop_assert_eq!(again.as_ref(), prompt.as_ref());
                prop_assert_eq!(prompt.as_ref().chars().count(), text.chars().count());
            }
        }
    }
}
