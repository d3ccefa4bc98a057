//! Counts a document's tokens and open brackets in one pass, before the recursive parser sees it (sec.R3), and gives the parsers a text
//! that both of them read alike: string escapes they do not know are decoded, block strings are plain
//! ones, descriptions are blanked, and every token stays where it was.

use std::borrow::Cow;
use std::ops::Range;

use async_graphql::Pos;

use super::limits::Limits;
use super::refusal::{ErrorCode, Refusal};
use super::strings;

/// The text for the parsers.
///
/// # Errors
/// A document with too many tokens, too many brackets open at once, too long a name, or a token that is none.
pub(super) fn read<'a>(source: &'a str, limits: &Limits) -> Result<Cow<'a, str>, Refusal> {
    let mut lexer = Lexer { bytes: source.as_bytes(), at: 0 };
    let mut text = Rewritten { source, text: String::new(), copied: 0 };
    let mut descriptions = Descriptions::default();
    // The token before, when it is a string: only what follows shows whether it is a description.
    let mut string: Option<(Range<usize>, Cow<'_, str>)> = None;
    let (mut tokens, mut open) = (0_usize, 0_usize);
    loop {
        lexer.skip_ignored();
        let start = lexer.at;
        let Some(byte) = lexer.peek() else { break };
        tokens += 1;
        if tokens > limits.tokens {
            return Err(Refusal::limit("tokens", limits.tokens).at([position(source, start)]));
        }
        let token = lexer.token(byte).and_then(|()| source.get(start..lexer.at));
        let decoded = token.filter(|token| token.starts_with('"')).map(strings::decode);
        let (Some(token), None | Some(Some(_))) = (token, &decoded) else {
            let refusal = Refusal::document(ErrorCode::GraphqlParseFailed, "syntax error");
            return Err(refusal.at([position(source, start)]));
        };
        let described = descriptions.end_before(token, open);
        match string.take() {
            Some((description, _)) if described => text.blank(description),
            Some((token, Cow::Owned(decoded))) => text.replace(token, &decoded),
            Some((_, Cow::Borrowed(_))) | None => {}
        }
        string = decoded.flatten().map(|decoded| (start..lexer.at, decoded));
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            // Whether brackets match is the parser's to say.
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > limits.brackets {
            return Err(Refusal::limit("nested brackets", limits.brackets).at([position(source, start)]));
        }
        if is_name_start(byte) && token.len() > limits.name_bytes {
            return Err(Refusal::limit("bytes of a name", limits.name_bytes).at([position(source, start)]));
        }
    }
    if let Some((token, Cow::Owned(decoded))) = string {
        text.replace(token, &decoded);
    }
    Ok(text.end())
}

/// The line and column of a byte, both from 1, the column in characters.
pub(super) fn position(source: &str, at: usize) -> Pos {
    let before = source.as_bytes().get(..at).unwrap_or(source.as_bytes());
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    Pos { line, column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1 }
}

const fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// A copy of the source in which some tokens are others; nothing is copied while nothing changes.
struct Rewritten<'a> {
    source: &'a str,
    text: String,
    /// Bytes of the source that `text` stands for.
    copied: usize,
}

impl<'a> Rewritten<'a> {
    /// Puts `with` in place of a token, and behind it the lines and blanks that keep what follows where it was. A decoded string is no longer
    /// than its token, but for a block string of one line with many quotes.
    fn replace(&mut self, token: Range<usize>, with: &str) {
        self.text.push_str(&self.source[self.copied..token.start]);
        self.text.push_str(with);
        let replaced = &self.source[token.clone()];
        let (lines, last) = (replaced.matches('\n').count(), replaced.rsplit('\n').next().unwrap_or_default());
        let columns = last.chars().count();
        let columns = if lines == 0 { columns.saturating_sub(with.chars().count()) } else { columns };
        self.text.extend(std::iter::repeat_n('\n', lines).chain(std::iter::repeat_n(' ', columns)));
        self.copied = token.end;
    }

    /// Puts blanks in place of a token, which may have several lines.
    fn blank(&mut self, token: Range<usize>) {
        self.text.push_str(&self.source[self.copied..token.start]);
        let blanks = self.source[token.clone()].chars().map(|c| if matches!(c, '\n' | '\r') { c } else { ' ' });
        self.text.extend(blanks);
        self.copied = token.end;
    }

    fn end(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.source);
        }
        self.text.push_str(&self.source[self.copied..]);
        Cow::Owned(self.text)
    }
}

/// Finds the descriptions of operations, fragments and variables, which neither parser knows.
#[derive(Default)]
struct Descriptions<'a> {
    previous: &'a str,
    /// Whether the previous token is a string where a description may stand.
    possible: bool,
    /// Whether the outermost open bracket is a round one: that of an operation's variables.
    in_variables: bool,
}

impl<'a> Descriptions<'a> {
    /// Whether the previous token is a description of what begins with this one; `open` brackets are open before it.
    fn end_before(&mut self, token: &'a str, open: usize) -> bool {
        let begins = match open {
            0 => matches!(token, "query" | "mutation" | "subscription" | "fragment"),
            _ => token == "$",
        };
        let described = self.possible && begins;
        if open == 0 && matches!(token, "(" | "{" | "[") {
            self.in_variables = token == "(";
        }
        // Behind `=` stands a variable's default, behind `:` a directive's argument.
        let in_definitions = open == 1 && self.in_variables && !matches!(self.previous, "=" | ":");
        self.possible = token.starts_with('"') && (open == 0 || in_definitions);
        self.previous = token;
        described
    }
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
