//! Counts a document's tokens and open brackets in one pass, before the recursive parser sees it (sec.R3).

use async_graphql::Pos;

use super::limits::Limits;
use super::refusal::{ErrorCode, Refusal};

/// Refuses a document with too many tokens, too many brackets open at once, too long a name, or a token that is none.
pub(super) fn scan(source: &str, limits: &Limits) -> Result<(), Refusal> {
    let mut lexer = Lexer { bytes: source.as_bytes(), at: 0 };
    let (mut tokens, mut open) = (0_usize, 0_usize);
    loop {
        lexer.skip_ignored();
        let start = lexer.at;
        let Some(byte) = lexer.peek() else { return Ok(()) };
        tokens += 1;
        if tokens > limits.tokens {
            return Err(Refusal::limit("tokens", limits.tokens).at([position(source, start)]));
        }
        if lexer.token(byte).is_none() {
            let refusal = Refusal::document(ErrorCode::GraphqlParseFailed, "syntax error");
            return Err(refusal.at([position(source, start)]));
        }
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            // Whether brackets match is the parser's to say.
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > limits.brackets {
            return Err(Refusal::limit("nested brackets", limits.brackets).at([position(source, start)]));
        }
        if is_name_start(byte) && lexer.at - start > limits.name_bytes {
            return Err(Refusal::limit("bytes of a name", limits.name_bytes).at([position(source, start)]));
        }
    }
}

/// The line and column of a byte, both from 1.
fn position(source: &str, at: usize) -> Pos {
    let before = &source.as_bytes()[..at];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    Pos { line, column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1 }
}

const fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Steps over bytes while they are of this kind; says how many there were.
    fn skip_while(&mut self, of_kind: impl Fn(u8) -> bool) -> usize {
        let length = self.rest().iter().take_while(|byte| of_kind(**byte)).count();
        self.at += length;
        length
    }

    /// White space, commas, byte order marks and comments.
    fn skip_ignored(&mut self) {
        loop {
            if self.rest().starts_with("\u{feff}".as_bytes()) {
                self.at += '\u{feff}'.len_utf8();
            } else if self.peek() == Some(b'#') {
                self.skip_while(|byte| byte != b'\n' && byte != b'\r');
            } else if self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',')) == 0 {
                return;
            }
        }
    }

    /// Steps over the token that begins with this byte; None when it is no token.
    fn token(&mut self, first: u8) -> Option<()> {
        match first {
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => self.at += 1,
            b'.' if self.rest().starts_with(b"...") => self.at += 3,
            b'"' if self.rest().starts_with(b"\"\"\"") => return self.block_string(),
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            _ if is_name_start(first) => {
                self.skip_while(|byte| is_name_start(byte) || byte.is_ascii_digit());
            }
            _ => return None,
        }
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break self.at += 1,
                b'\n' | b'\r' => return None,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        Some(())
    }

    fn block_string(&mut self) -> Option<()> {
        self.at += 3;
        loop {
            if self.rest().starts_with(b"\"\"\"") {
                self.at += 3;
                return Some(());
            }
            self.at += if self.rest().starts_with(b"\\\"\"\"") { 4 } else { 1 };
            self.peek()?;
        }
    }

    /// The parser reads `00` as two numbers; here a number ends where the specification says, so that tokens are counted.
    fn number(&mut self) -> Option<()> {
        self.skip_one_of(b"-");
        let zero = self.peek() == Some(b'0');
        let digits = self.skip_while(|byte| byte.is_ascii_digit());
        if digits == 0 || (zero && digits > 1) {
            return None;
        }
        if self.skip_one_of(b".") && self.skip_while(|byte| byte.is_ascii_digit()) == 0 {
            return None;
        }
        if self.skip_one_of(b"eE") {
            self.skip_one_of(b"+-");
            if self.skip_while(|byte| byte.is_ascii_digit()) == 0 {
                return None;
            }
        }
        self.peek().is_none_or(|next| !is_name_start(next) && next != b'.').then_some(())
    }

    fn skip_one_of(&mut self, any_of: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| any_of.contains(&byte));
        self.at += usize::from(found);
        found
    }
}
