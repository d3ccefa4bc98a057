//! Recovery codes: four groups of six letters, 120 random bits, so that a fast keyed hash is enough (sec.T2).

use std::fmt;

use zeroize::Zeroizing;

use crate::typed_code::separates;
use crate::{NotAToken, RandomBytes};

/// No letter that looks like a digit it is not: no `i`, `l`, `o`, and no `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const GROUPS: usize = 4;
const GROUP: usize = 6;

/// A code that stands in for the authenticator once; never kept or printed.
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<String>);

impl RecoveryCode {
    /// A fresh code.
    #[must_use]
    pub fn generate(random: &dyn RandomBytes) -> Self {
        let mut bytes = Zeroizing::new([0; GROUPS * GROUP]);
        random.fill(bytes.as_mut_slice());
        let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
        for (place, byte) in bytes.iter().enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            // 256 is a multiple of 32: no letter is likelier than another.
            text.push(char::from(ALPHABET[usize::from(byte % 32)]));
        }
        Self(text)
    }

    /// Reads a typed code: capitals are forgiven, and blanks and hyphens of any kind, in any place.
    ///
    /// # Errors
    /// When it cannot be a recovery code.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let mut letters = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
        let mut read = 0;
        for letter in text.chars().filter(|c| !separates(*c)) {
            let letter = letter.to_ascii_lowercase();
            if read == GROUPS * GROUP || !letter.is_ascii() || !ALPHABET.contains(&(letter as u8)) {
                return Err(NotAToken);
            }
            if read > 0 && read % GROUP == 0 {
                letters.push('-');
            }
            letters.push(letter);
            read += 1;
        }
        if read == GROUPS * GROUP { Ok(Self(letters)) } else { Err(NotAToken) }
    }

    /// The code, for the one time it is shown, and to digest it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    #[test]
    fn t2_a_code_has_120_bits_and_is_read_however_it_is_typed() {
        let random = Replayable::new(9);
        let code = RecoveryCode::generate(random.as_ref());
        let text = code.expose();
        assert_eq!((text.len(), text.matches('-').count()), (27, 3), "24 letters of 5 bits");
        assert_ne!(text, RecoveryCode::generate(random.as_ref()).expose());
        let printed = ["", " ", "\u{a0}", "\u{2011}", "\u{2013}", "\u{202f}", "\t", "\r\n"]
            .map(|between| text.replace('-', between));
        for typed in [text.to_owned(), text.to_uppercase(), format!("\u{200b} {text} ")].into_iter().chain(printed) {
            assert_eq!(RecoveryCode::parse(&typed).unwrap().expose(), text, "{typed}");
        }
        for wrong in
            [&text[..26], &format!("{text}0"), "", "123456", &text.replace('-', "u"), &format!("é{}", &text[1..])]
        {
            assert!(RecoveryCode::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{code:?}"), "RecoveryCode(..)");
    }
}
