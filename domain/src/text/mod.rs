//! Value objects made of text: each refuses what the product refuses, and says why.

mod email;
mod free;
mod username;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::free::CHARACTER_BYTES;
use self::free::{Lines, kept, line, shows};
use crate::invalid::{Invalid, Reason, length};
use crate::policy::account::{PASSWORD_BYTES, PASSWORD_CHARACTERS};

fn invalid<T>(reason: Reason, says: &'static str) -> Result<T, Invalid> {
    Err(Invalid::new(reason, says))
}

macro_rules! text_value {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A text that was accepted before, as the log has it: what was allowed once stays allowed.
            #[must_use]
            pub fn stored(text: String) -> Self {
                Self(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }

        impl fmt::Debug for $name {
            // Personal or close to it: a debug line names the kind, never the text.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(concat!(stringify!($name), "(..)")) }
        }
    };
}

text_value! {
    /// An email address: the part before the `@` in NFC, the domain in its ASCII form; 254 bytes at most (RFC 5321).
    Email
}
text_value! {
    /// A handle: 3-30 of `a-z 0-9 _ -`, folded to lower case (U27).
    Username
}
text_value! {
    /// A display name: free Unicode in NFC, 1-50 grapheme clusters, one of them visible (U27).
    DisplayName
}
text_value! {
    /// A biography: up to 160 grapheme clusters in NFC (V04, C4).
    Bio
}
text_value! {
    /// A prompt: 1-4,000 characters (S2), line breaks allowed.
    Prompt
}
text_value! {
    /// An API key's label: 1-64 grapheme clusters (V28).
    KeyLabel
}
text_value! {
    /// What an identity elsewhere is called in the settings: 1-254 grapheme clusters, usually its address.
    IdentityLabel
}
text_value! {
    /// Why staff did something: 1-500 grapheme clusters (A13).
    StaffReason
}

impl DisplayName {
    /// Normalises and checks a display name.
    ///
    /// # Errors
    /// When it shows nothing, is longer than 50 grapheme clusters, or has characters that are refused in names.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 1..=50, Lines::One).map(Self)
    }
}

impl Bio {
    /// Normalises and checks a biography; one that shows nothing clears it. The unit is the extended grapheme cluster (Unicode UAX 29): what a
    /// person takes for one character.
    ///
    /// # Errors
    /// When it is longer than 160 grapheme clusters (never cut silently, C4), has one of more than [`CHARACTER_BYTES`] bytes, or has characters
    /// that are refused in texts of many lines.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 0..=160, Lines::Many).map(Self)
    }
}

impl KeyLabel {
    /// Normalises and checks a key's label.
    ///
    /// # Errors
    /// When it shows nothing, is longer than 64 grapheme clusters, or has characters that are refused in names.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 1..=64, Lines::One).map(Self)
    }

    /// What a key is called whose owner gave it no label: "API key" and its number among the account's keys (C16).
    #[must_use]
    pub fn numbered(number: u64) -> Self {
        Self(format!("API key {number}"))
    }
}

impl IdentityLabel {
    /// Normalises and checks an identity's label.
    ///
    /// # Errors
    /// When it shows nothing, is longer than 254 grapheme clusters, or has characters that are refused in names.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 1..=254, Lines::One).map(Self)
    }
}

impl StaffReason {
    /// Normalises and checks a reason.
    ///
    /// # Errors
    /// When it shows nothing, is longer than 500 grapheme clusters, or has characters that are refused in texts of many lines.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 1..=500, Lines::Many).map(Self)
    }
}

impl Prompt {
    /// Checks a prompt; its text is kept as written, because the same prompt must draw the same picture. Only vertical tabs, form feeds and
    /// NEL become line feeds: word processors paste them for line breaks. Isolates of right-to-left text are kept where they are closed
    /// in the same line.
    ///
    /// # Errors
    /// When it shows nothing, is longer than 4,000 characters (code points), or has characters that are refused in texts of many lines.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let counted = if shows(text) { text.chars().count() } else { 0 };
        length(counted, &(1..=4_000), "characters")?;
        kept(text, Lines::Many).map(Self)
    }
}

/// Checks a password against the seed's rule (V08): at least 8 characters, a number and a symbol; at most 1,024 bytes. The caller has brought it to NFC.
///
/// # Errors
/// When it is too short, too long, or lacks a number or a symbol.
pub fn check_password(password: &str, composition: bool) -> Result<(), Invalid> {
    if password.chars().count() < PASSWORD_CHARACTERS {
        return Err(Invalid::at_least(Reason::TooShort, PASSWORD_CHARACTERS as i64, "must have at least 8 characters"));
    }
    if password.len() > PASSWORD_BYTES {
        return Err(Invalid::at_most(Reason::TooLong, PASSWORD_BYTES as i64, "must have at most 1024 bytes"));
    }
    if composition && !(password.chars().any(char::is_numeric) && password.chars().any(|c| !c.is_alphanumeric())) {
        return invalid(Reason::Composition, "must contain at least one number and one symbol");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v04_a_bio_counts_what_a_person_sees() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}"; // one grapheme cluster of five code points
        assert!(Bio::parse(&"e\u{301}".repeat(160)).is_ok());
        assert!(Bio::parse(&family.repeat(100)).is_ok());
        // Refused, never cut (C4); one cluster too many, whatever it is made of.
        for unit in ["x", "e\u{301}", family] {
            assert!(Bio::parse(&unit.repeat(161)).is_err());
        }
        assert!(Bio::parse("").is_ok());
        // Kept in NFC: the same text, however it was typed.
        assert_eq!(Bio::parse("e\u{301}").unwrap().as_ref(), "\u{e9}");
        // A cluster may carry marks without end; its bytes are bounded all the same.
        assert!(Bio::parse(&format!("a{}", "\u{302}".repeat(2_000))).is_err());
    }

    #[test]
    fn v08_passwords() {
        assert!(check_password("correct-horse-1", true).is_ok());
        for bad in ["short-1", "longenough1", "long-enough", ""] {
            assert!(check_password(bad, true).is_err(), "{bad}");
        }
        // sec.S3: composition is a deployment's choice, length is not; characters count, not bytes, and 64 are far from the end.
        assert!(check_password("longenough", false).is_ok() && check_password("short", false).is_err());
        assert!(
            check_password(&"\u{e9}".repeat(7), false).is_err() && check_password(&"\u{e9}".repeat(8), false).is_ok()
        );
        for length in [64, 1_024] {
            assert!(check_password(&"x".repeat(length), false).is_ok(), "{length}");
        }
        assert!(check_password(&"x".repeat(1_025), false).is_err());
    }

    #[test]
    fn control_characters_and_overrides_are_refused_everywhere() {
        for bad in ["a\0bc", "a\u{7}bc", "a\u{202E}bc"] {
            assert!(DisplayName::parse(bad).is_err() && Bio::parse(bad).is_err() && Prompt::parse(bad).is_err());
        }
        assert!(Prompt::parse("two\nlines").is_ok());
    }
}
