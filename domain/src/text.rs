//! Value objects made of text: each refuses what the product refuses, with a message that says what is wrong.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::policy::account::{PASSWORD_BYTES, PASSWORD_CHARACTERS, USERNAME_LENGTH};

/// Why a text was refused; the edge adds the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub String);

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidText> {
    Err(InvalidText(message.into()))
}

/// NUL and control characters are refused everywhere; bidirectional overrides too, because they let a text lie (U27).
fn refuse_control(text: &str, allow_line_breaks: bool) -> Result<(), InvalidText> {
    let line_break = |c: char| allow_line_breaks && matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(|c| c.is_control() && !line_break(c)) {
        return invalid("must not contain control characters");
    }
    if text.chars().any(|c| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')) {
        return invalid("must not contain bidirectional overrides");
    }
    Ok(())
}

macro_rules! text_value {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

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
    /// An email address, lower-cased in its domain; 254 bytes at most (RFC 5321).
    Email
}
text_value! {
    /// A handle: 3-30 of `a-z 0-9 _ -`, folded to lower case (U27).
    Username
}
text_value! {
    /// A display name: free Unicode in NFC, 1-50 grapheme clusters (U27).
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

impl Email {
    /// Parses an address. Deliverability is proven by the verification mail, not here.
    ///
    /// # Errors
    /// When the text cannot be an address.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        refuse_control(text, false)?;
        let Some((local, domain)) = text.rsplit_once('@') else { return invalid("must be an email address") };
        let bad_label = |label: &str| label.is_empty() || label.starts_with('-') || label.ends_with('-');
        let ascii_domain = domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
        if local.is_empty() || local.len() > 64 || text.len() > 254 {
            return invalid("must be an email address of at most 254 bytes");
        }
        // RFC 5322 atext and dots, with letters and digits of any script (RFC 6531); quoted local parts are not accepted.
        let atext = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        if !local.chars().all(atext) || !ascii_domain || domain.split('.').any(bad_label) {
            return invalid("must be an email address");
        }
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The form two addresses are compared by: all lower case. What is sent to keeps its own case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Names that would collide with routes, roles or the brand, or pass for somebody official (U28). Sorted.
#[rustfmt::skip]
const RESERVED_USERNAMES: &[&str] = &[
    "about", "abuse", "access", "account", "accounts", "admin", "admin-panel", "administration", "administrator",
    "administrators", "anonymous", "api", "api-keys", "apikeys", "app", "apps", "artist", "artnex", "assets", "atelier",
    "atelier-staff", "auditor", "auditors", "auth", "authentication", "authorize", "avatar", "avatars", "beginner", "billing",
    "blog", "bot", "brand", "business", "callback", "careers", "cart", "checkout", "claim", "community", "contact", "cookie",
    "cookies", "copyright", "creation", "creations", "creator", "creators", "credit", "credits", "dashboard", "data",
    "database", "default", "delete", "deleted", "demo-admin", "developer", "developers", "dmca", "doc", "docs",
    "documentation", "download", "downloads", "email", "emails", "enterprise", "error", "errors", "everybody", "everyone",
    "example", "explore", "explorer", "export", "exports", "false", "faq", "favicon", "feature", "features", "feed",
    "feedback", "finance", "follow", "followers", "following", "forgot-password", "forum", "free", "gallery", "generate",
    "generation", "generations", "google", "graphiql", "graphql", "guest", "health", "help", "home", "host", "hostmaster",
    "identity", "image", "images", "info", "invoice", "invoices", "jobs", "keep-two-factor", "key", "keys", "legal", "license", "link", "links",
    "live", "localhost", "log", "login", "logout", "logs", "mail", "mailbox", "mailer", "mailer-daemon", "master", "media",
    "member", "members", "message", "messages", "metrics", "model", "models", "moderation", "moderator", "moderators", "music",
    "nan", "news", "newsletter", "no-reply", "nobody", "none", "noreply", "notification", "notifications", "null", "oauth",
    "oauth2", "offer", "offers", "official", "openapi", "operator", "operators", "order", "orders", "owner", "package",
    "packages", "page", "pages", "password", "passwords", "payment", "payments", "plan", "plans", "policy", "postmaster",
    "preferences", "premium", "press", "pricing", "privacy", "private", "pro", "profile", "profiles", "public", "purchase",
    "purchases", "ratelimit", "refund", "refunds", "register", "registration", "report", "reports", "reset", "reset-password",
    "rest", "robots", "root", "rss", "sales", "sandbox", "schema", "search", "secret", "secrets", "security", "self", "server",
    "session", "sessions", "setting", "settings", "setup", "share", "shop", "sign-in", "sign-out", "sign-up", "signin",
    "signout", "signup", "site", "sitemap", "sso", "staff", "static", "stats", "status", "store", "studio", "subscribe",
    "subscription", "subscriptions", "superuser", "support", "sysadmin", "sysop", "system", "team", "teams", "terms", "test",
    "tests", "token", "tokens", "tos", "totp", "trending", "true", "trust", "two-factor", "undefined", "unknown", "unlink",
    "unsubscribe", "update", "upgrade", "upload", "uploads", "usage", "user", "username", "usernames", "users", "verification",
    "verified", "verify", "verify-email", "video", "videos", "visioart", "void", "voucher", "webhook", "webhooks", "webmaster",
    "websocket", "welcome", "well-known", "wellknown", "www", "you", "your-account",
];

impl Username {
    /// Parses and folds a handle.
    ///
    /// # Errors
    /// When a character, the length or a separator is not allowed, or the name is reserved.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let folded = text.to_ascii_lowercase();
        if !USERNAME_LENGTH.contains(&folded.len()) {
            return invalid("must have 3 to 30 characters");
        }
        if !folded.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-') {
            return invalid("may contain only letters a-z, digits, '_' and '-'");
        }
        if !folded.as_bytes()[0].is_ascii_lowercase() {
            return invalid("must start with a letter");
        }
        let separator = |b: &u8| matches!(b, b'_' | b'-');
        if folded.as_bytes().windows(2).any(|pair| pair.iter().all(separator))
            || folded.as_bytes().last().is_some_and(separator)
        {
            return invalid("must not have doubled or trailing separators");
        }
        if RESERVED_USERNAMES.binary_search(&folded.as_str()).is_ok() {
            return invalid("is reserved");
        }
        Ok(Self(folded))
    }
}

fn line(text: &str, what: &str, least: usize, most: usize, breaks: bool) -> Result<String, InvalidText> {
    refuse_control(text, breaks)?;
    let text: String = text.nfc().collect();
    let text = text.trim().to_owned();
    // A grapheme can be arbitrarily long, so bytes are bounded as well: 16 each is generous.
    let length = text.graphemes(true).count();
    if length < least || length > most || text.len() > most * 16 {
        return invalid(format!("must have {least} to {most} {what}"));
    }
    Ok(text)
}

impl DisplayName {
    /// Normalises and checks a display name.
    ///
    /// # Errors
    /// When it is empty, longer than 50 grapheme clusters, or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        line(text, "characters", 1, 50, false).map(Self)
    }
}

impl Bio {
    /// Normalises and checks a biography; an empty one clears it. The unit is the extended grapheme cluster (Unicode UAX 29): what a
    /// person takes for one character.
    ///
    /// # Errors
    /// When it is longer than 160 grapheme clusters (never cut silently, C4) or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        line(text, "characters", 0, 160, true).map(Self)
    }
}

impl KeyLabel {
    /// Normalises and checks a key's label.
    ///
    /// # Errors
    /// When it is empty, longer than 64 grapheme clusters, or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        line(text, "characters", 1, 64, false).map(Self)
    }
}

impl IdentityLabel {
    /// Normalises and checks an identity's label.
    ///
    /// # Errors
    /// When it is empty, longer than 254 grapheme clusters, or has control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        line(text, "characters", 1, 254, false).map(Self)
    }
}

impl StaffReason {
    /// Normalises and checks a reason.
    ///
    /// # Errors
    /// When it is empty, longer than 500 grapheme clusters, or has control characters other than line breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        line(text, "characters", 1, 500, true).map(Self)
    }
}

impl Prompt {
    /// Checks a prompt; its text is kept as written, because the same prompt must draw the same picture.
    ///
    /// # Errors
    /// When it is blank, longer than 4,000 characters, or has control characters other than line breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        refuse_control(text, true)?;
        if text.trim().is_empty() || text.chars().count() > 4_000 {
            return invalid("must have 1 to 4000 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Checks a password against the seed's rule (V08): at least 8 characters, a number and a symbol; at most 1,024 bytes.
///
/// # Errors
/// When it is too short, too long, or lacks a number or a symbol.
pub fn check_password(password: &str, composition: bool) -> Result<(), InvalidText> {
    if password.chars().count() < PASSWORD_CHARACTERS {
        return invalid("must have at least 8 characters");
    }
    if password.len() > PASSWORD_BYTES {
        return invalid("must have at most 1024 bytes");
    }
    if composition && !(password.chars().any(char::is_numeric) && password.chars().any(|c| !c.is_alphanumeric())) {
        return invalid("must contain at least one number and one symbol");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u27_usernames() {
        for good in ["ada", "Ada-Lovelace", "a_b-c9", &"a".repeat(30)] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
        for bad in ["ab", "9ada", "a__b", "ada-", "a\u{e9}b", "admin", "a b", "a\0b", &"a".repeat(31)] {
            assert!(Username::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Username::parse("ADA").unwrap().as_ref(), "ada");
    }

    #[test]
    fn u28_reserved_names_are_sorted_could_be_names_and_are_refused() {
        assert!(RESERVED_USERNAMES.is_sorted(), "they are looked up by halves");
        for name in RESERVED_USERNAMES {
            assert_eq!(Username::parse(&name.to_ascii_uppercase()), invalid("is reserved"), "{name}");
        }
        assert!(
            ["admin", "support", "api", "explore", "null", "undefined", "staff", "atelier", "auditor"]
                .iter()
                .all(|name| RESERVED_USERNAMES.contains(name))
        );
        assert!(Username::parse("administrata").is_ok(), "whole names only");
    }

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
    fn emails() {
        for good in ["ada@example.com", "a.b+c@Sub.Example.COM", "x@localhost"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a@-x.com",
            "a@x..com",
            "a\n@x.com",
            "a,b@x.com",
            "\"a\"@x.com",
            "a@b@x.com",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Email::parse("Ada@Example.COM").unwrap().as_ref(), "Ada@example.com");
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
