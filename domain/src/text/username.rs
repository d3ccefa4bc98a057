//! Usernames: what a handle is made of, and the reserved ones.

use super::{Username, invalid};
use crate::invalid::{Invalid, Reason, length};
use crate::policy::account::USERNAME_LENGTH;

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
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let folded = text.to_ascii_lowercase();
        if !folded.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-') {
            return invalid(Reason::Characters, "may contain only letters a-z, digits, '_' and '-'");
        }
        length(folded.len(), &USERNAME_LENGTH, "characters")?;
        if !folded.as_bytes()[0].is_ascii_lowercase() {
            return invalid(Reason::Format, "must start with a letter");
        }
        let separator = |b: &u8| matches!(b, b'_' | b'-');
        if folded.as_bytes().windows(2).any(|pair| pair.iter().all(separator))
            || folded.as_bytes().last().is_some_and(separator)
        {
            return invalid(Reason::Format, "must not have doubled or trailing separators");
        }
        if RESERVED_USERNAMES.binary_search(&folded.as_str()).is_ok() {
            return invalid(Reason::Reserved, "is reserved");
        }
        Ok(Self(folded))
    }
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
            assert_eq!(
                Username::parse(&name.to_ascii_uppercase()).map_err(|refused| refused.reason),
                Err(Reason::Reserved),
                "{name}"
            );
        }
        assert!(
            ["admin", "support", "api", "explore", "null", "undefined", "staff", "atelier", "auditor"]
                .iter()
                .all(|name| RESERVED_USERNAMES.contains(name))
        );
        assert!(Username::parse("administrata").is_ok(), "whole names only");
    }
}
