//! Session tokens `ats_<22 session id><43 secret><6 crc>`, mail tokens `atm_<43 secret><6 crc>` and upload tickets `atu_...` of the same
//! form, base62 like API keys (sec.S5, sec.S6).
//!
//! A session token names its row, which is found by its key and compared in constant time. A mail token names nothing,
//! because it travels through mailboxes; its row is found by its keyed digest, whose order tells nothing.

use std::fmt;

use atelier_domain::SessionId;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{RandomBytes, base62};

const SESSION_SCHEME: &str = "ats_";
const MAIL_SCHEME: &str = "atm_";
const UPLOAD_SCHEME: &str = "atu_";

/// The text is not a token of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct NotAToken;

/// A session's bearer token; never kept or printed.
#[derive(Clone)]
pub struct SessionToken {
    session: SessionId,
    text: Zeroizing<String>,
}

/// A token sent by mail, good for one use; never kept or printed.
#[derive(Clone)]
pub struct MailToken(Zeroizing<String>);

/// A ticket for one upload; never kept or printed.
#[derive(Clone)]
pub struct UploadTicket(Zeroizing<String>);

/// A fresh secret behind a scheme, with its checksum.
fn secret_text(scheme: &str, random: &dyn RandomBytes) -> Zeroizing<String> {
    // Enough room from the start: growing would leave pieces of the secret in freed memory.
    let mut text = String::with_capacity(64);
    text.push_str(scheme);
    base62::push_secret(&mut text, random);
    base62::push_checksum(&mut text);
    Zeroizing::new(text)
}

impl SessionToken {
    /// A fresh token for a session.
    #[must_use]
    pub fn generate(session: SessionId, random: &dyn RandomBytes) -> Self {
        // Enough room from the start: growing would leave pieces of the secret in freed memory.
        let mut text = String::with_capacity(96);
        text.push_str(SESSION_SCHEME);
        text.push_str(&base62::encode(session.0.as_u128(), base62::ID_LETTERS));
        base62::push_secret(&mut text, random);
        base62::push_checksum(&mut text);
        Self { session, text: Zeroizing::new(text) }
    }

    /// Reads a presented token, strictly.
    ///
    /// # Errors
    /// When it is anything but a well-formed session token.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let letters = base62::ID_LETTERS + base62::SECRET_LETTERS;
        let body = base62::checked_body(text, SESSION_SCHEME, letters).ok_or(NotAToken)?;
        let session = base62::decode(&body[..base62::ID_LETTERS]).ok_or(NotAToken)?;
        Ok(Self { session: SessionId(Uuid::from_u128(session)), text: Zeroizing::new(text.to_owned()) })
    }

    /// The session the token claims to be of; only its digest proves it.
    #[must_use]
    pub const fn session_id(&self) -> SessionId {
        self.session
    }

    /// The whole token: for the cookie or the answer, and to digest it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl MailToken {
    /// A fresh token.
    #[must_use]
    pub fn generate(random: &dyn RandomBytes) -> Self {
        Self(secret_text(MAIL_SCHEME, random))
    }

    /// Reads a presented token, strictly.
    ///
    /// # Errors
    /// When it is anything but a well-formed mail token.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        base62::checked_body(text, MAIL_SCHEME, base62::SECRET_LETTERS).ok_or(NotAToken)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The whole token: for the mail, and to digest it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl UploadTicket {
    /// A fresh ticket.
    #[must_use]
    pub fn generate(random: &dyn RandomBytes) -> Self {
        Self(secret_text(UPLOAD_SCHEME, random))
    }

    /// Reads a presented ticket, strictly.
    ///
    /// # Errors
    /// When it is anything but a well-formed ticket.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        base62::checked_body(text, UPLOAD_SCHEME, base62::SECRET_LETTERS).ok_or(NotAToken)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The whole ticket: for the link, and to digest it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UploadTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadTicket(..)")
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionToken({}..)", self.session)
    }
}

impl fmt::Debug for MailToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    #[test]
    fn s6_a_session_token_names_its_session_and_parses_back() {
        let random = Replayable::new(4);
        for id in [0, 1, u128::MAX] {
            let session = SessionId(Uuid::from_u128(id));
            let token = SessionToken::generate(session, random.as_ref());
            assert_eq!(token.expose().len(), 4 + 22 + 43 + 6);
            assert_eq!(SessionToken::parse(token.expose()).unwrap().session_id(), session);
            assert!(!format!("{token:?}").contains(&token.expose()[26..]));
        }
    }

    #[test]
    fn tokens_of_another_kind_or_length_are_refused() {
        let random = Replayable::new(4);
        let session = SessionToken::generate(SessionId(Uuid::from_u128(7)), random.as_ref());
        let mail = MailToken::generate(random.as_ref());
        assert_eq!(MailToken::parse(mail.expose()).unwrap().expose(), mail.expose());
        let ticket = UploadTicket::generate(random.as_ref());
        assert_eq!(UploadTicket::parse(ticket.expose()).unwrap().expose(), ticket.expose());
        assert!(UploadTicket::parse(mail.expose()).is_err() && MailToken::parse(ticket.expose()).is_err());
        assert!(MailToken::parse(session.expose()).is_err());
        assert!(SessionToken::parse(mail.expose()).is_err());
        assert!(MailToken::parse(&format!("{} ", mail.expose())).is_err());
        assert!(SessionToken::parse(&session.expose()[..70]).is_err());
        // An id beyond 128 bits, under a right checksum, is no id.
        let mut text = format!("ats_{}{}", "z".repeat(22), "0".repeat(43));
        base62::push_checksum(&mut text);
        assert!(SessionToken::parse(&text).is_err());
    }
}
