//! Tokens of a sign-in or sign-up under way. Good for minutes: `atc_` waits for the second factor's code, `atb_` binds a sign-in elsewhere to
//! the browser that began it, `atg_` is the one-time code that a frontend redeems after it; and `atp_`, good for a week, which says that a
//! client began a sign-up. 256 bits each, known by their keyed digests.

use std::fmt;

use zeroize::Zeroizing;

use crate::{NotAToken, RandomBytes, base62};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// The first factor was right, the second is missing.
    Challenge,
    /// The browser that went to another provider, in its cookie.
    Browser,
    /// The one-time code in the address that a browser is sent back to its frontend with.
    Code,
    /// What the client has that began a sign-up, in its cookie or kept by an app.
    SignUp,
}

impl Passing {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Challenge => "atc_",
            Self::Browser => "atb_",
            Self::Code => "atg_",
            Self::SignUp => "atp_",
        }
    }
}

/// A token of a sign-in under way; never kept or printed.
#[derive(Clone)]
pub struct PassingToken {
    pub(crate) passing: Passing,
    text: Zeroizing<String>,
}

impl PassingToken {
    /// A fresh token.
    #[must_use]
    pub fn generate(passing: Passing, random: &dyn RandomBytes) -> Self {
        let mut text = String::with_capacity(64);
        text.push_str(passing.scheme());
        base62::push_secret(&mut text, random);
        base62::push_checksum(&mut text);
        Self { passing, text: Zeroizing::new(text) }
    }

    /// Reads a presented token, strictly.
    ///
    /// # Errors
    /// When it is anything but a well-formed token of this kind.
    pub fn parse(passing: Passing, text: &str) -> Result<Self, NotAToken> {
        base62::checked_body(text, passing.scheme(), base62::SECRET_LETTERS).ok_or(NotAToken)?;
        Ok(Self { passing, text: Zeroizing::new(text.to_owned()) })
    }

    /// The whole token: for the answer or the cookie, and to digest it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for PassingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassingToken({:?}, ..)", self.passing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    #[test]
    fn a_token_parses_back_as_its_own_kind_only() {
        let random = Replayable::new(4);
        let token = PassingToken::generate(Passing::Challenge, random.as_ref());
        assert_eq!(PassingToken::parse(Passing::Challenge, token.expose()).unwrap().expose(), token.expose());
        assert!(PassingToken::parse(Passing::Browser, token.expose()).is_err());
        assert!(PassingToken::parse(Passing::Code, token.expose()).is_err());
        assert!(PassingToken::parse(Passing::Challenge, &token.expose()[..50]).is_err());
        assert_eq!(format!("{token:?}"), "PassingToken(Challenge, ..)");
    }
}
