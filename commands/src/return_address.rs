//! Where a browser may be sent back to after a sign-in elsewhere: pages of listed origins, and listed addresses of apps (sec.O1, RFC 6749
//! 3.1.2, RFC 8252 7.1). Nothing else, so that this server sends no browser, and no code, to a stranger.

use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};

/// The longest address, in bytes.
const LONGEST: usize = 2_048;
/// What we add to an address, and what it must therefore not bring itself.
const OURS: [&str; 3] = ["code", "state", "error"];

/// The addresses that a deployment lists.
#[derive(Debug, Clone, Default)]
pub struct ReturnAddresses {
    origins: Vec<String>,
    apps: Vec<AppAddress>,
}

/// An app's address, such as `com.example.app:/callback`: a scheme in the order of a reversed domain, so that it is the app's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppAddress(String);

/// A listed address, as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnAddress {
    text: String,
    app: bool,
}

/// The letters of RFC 3986 without the fragment's `#`: no blanks, backslashes or control characters, which browsers read in their own
/// ways.
fn is_plain(text: &str) -> bool {
    text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte))
}

/// Whether the query leaves `code`, `state` and `error` to us, in whatever letters they are written.
fn leaves_ours(text: &str) -> bool {
    let query = text.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).all(|(name, _)| !OURS.contains(&name.as_ref()))
}

impl AppAddress {
    /// Reads an address of the configuration.
    ///
    /// # Errors
    /// A sentence, when it is not `<reversed domain>:/<path>`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        // The dot keeps out `http`, `javascript`, `data` and whatever else means something to every browser.
        let reversed_domain = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(small)
            && scheme.split('.').count() > 1
            && scheme.split('.').all(|part| !part.is_empty());
        if reversed_domain && rest.starts_with('/') && is_plain(text) && leaves_ours(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("an app's address is a reversed domain and a path, such as com.example.app:/callback, not {text}"))
    }
}

impl ReturnAddresses {
    /// Pages of these origins, each as a browser writes it (`https://app.example.com`, `http://localhost:3000`), and these apps.
    #[must_use]
    pub fn new(mut origins: Vec<String>, apps: Vec<AppAddress>) -> Self {
        origins.retain(|origin| !origin.is_empty());
        Self { origins, apps }
    }

    /// The listed address that a client asked for, if it is one. An app's must be the same to the letter. Of a page the origin must be
    /// the same to the letter and end there, before a path or a query: then no reader of addresses can find another host in it.
    #[must_use]
    pub fn find(&self, asked: &str) -> Option<ReturnAddress> {
        let found = |app| Some(ReturnAddress { text: asked.to_owned(), app });
        if self.apps.iter().any(|app| app.0 == asked) {
            return found(true);
        }
        let ends_there = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?']);
        let listed = self.origins.iter().any(|origin| asked.strip_prefix(origin.as_str()).is_some_and(ends_there));
        if listed && is_plain(asked) && leaves_ours(asked) { found(false) } else { None }
    }
}

impl ReturnAddress {
    /// Whether it is an app's: another app on the same device may have taken its scheme.
    #[must_use]
    pub const fn is_app(&self) -> bool {
        self.app
    }

    /// The address with these parameters added to its query.
    #[must_use]
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let added = Serializer::new(String::new()).extend_pairs(parameters).finish();
        let joint = match self.text.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{joint}{added}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> ReturnAddresses {
        let origins = ["https://app.example.com", "http://localhost:5173", "https://[2001:db8::1]:8443", ""];
        let apps = ["com.example.app:/callback", "org.example.studio://signed-in/here"];
        ReturnAddresses::new(
            origins.map(str::to_owned).to_vec(),
            apps.iter().map(|app| AppAddress::parse(app).unwrap()).collect(),
        )
    }

    #[test]
    fn o1_listed_addresses_are_found_as_they_were_written() {
        for good in [
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com/signed-in",
            "https://app.example.com/a/b;c=1?from=https%3A%2F%2Felsewhere.example%2F",
            "https://app.example.com?next=%2Fsettings",
            "http://localhost:5173/callback",
            "https://[2001:db8::1]:8443/callback",
            "com.example.app:/callback",
            "org.example.studio://signed-in/here",
        ] {
            let found = listed().find(good).unwrap_or_else(|| panic!("{good}"));
            assert_eq!((found.text.as_str(), found.app), (good, !good.starts_with("http")), "{good}");
        }
    }

    #[test]
    fn o1_nothing_else_is_found_however_it_is_written() {
        for bad in TRICKS {
            assert_eq!(listed().find(bad), None, "{bad:?}");
        }
        let long = format!("https://app.example.com/{}", "x".repeat(LONGEST));
        assert_eq!(listed().find(&long), None);
        assert_eq!(ReturnAddresses::default().find(""), None);
        assert_eq!(
            ReturnAddresses::new(vec![String::new()], Vec::new()).find("/evil"),
            None,
            "an empty origin is none"
        );
    }

    /// Ways to write another host, scheme or port than the listed ones, or to bring what is ours.
    const TRICKS: &[&str] = &[
        "",
        " ",
        "/",
        "//evil.example",
        "///evil.example",
        "https:",
        "https://",
        "https:/app.example.com",
        "https:app.example.com",
        "https:///app.example.com",
        "http://app.example.com",
        "HTTPS://app.example.com",
        "https://APP.example.com",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com.",
        "https://app.example.com./",
        "https://app.example.comevil.example",
        "https://app.example.com-evil.example",
        "https://evilapp.example.com",
        "https://sub.app.example.com",
        "https://example.com",
        "https://app.example.com:443",
        "https://app.example.com:8443/",
        "https://app.example.com:80@evil.example/",
        "https://app.example.com@evil.example",
        "https://app.example.com:@evil.example",
        "https://user@app.example.com/",
        "https://user:secret@app.example.com/",
        "https://evil.example@app.example.com/",
        "https://evil.example/@app.example.com",
        "https://evil.example/https://app.example.com",
        "https://evil.example?https://app.example.com",
        "https://evil.example#https://app.example.com",
        "https://app.example.com#",
        "https://app.example.com/#/signed-in",
        "https://app.example.com#@evil.example",
        "https://app.example.com\\",
        "https://app.example.com\\@evil.example",
        "https://app.example.com/\\evil.example",
        "https:\\\\app.example.com",
        "\\\\app.example.com",
        "https://app.example.com%2f@evil.example",
        "https://app.example.com%2Eevil.example",
        "https://app%2Eexample%2Ecom/",
        "https%3A%2F%2Fapp.example.com",
        "https://app.example.com%00.evil.example",
        "https://app.example.com%23@evil.example",
        "https://app.example.com;@evil.example",
        "https://app.example.com,evil.example",
        " https://app.example.com/",
        "https://app.example.com/ ",
        "https://app.example.com/\t",
        "https://app.exam\tple.com/",
        "https://app.example.com/\r\nSet-Cookie: a=b",
        "https://app.example.com/\0",
        "https://app.example.com/<script>",
        "https://app.example.com/\"",
        "https://app.ex\u{e4}mple.com/",
        "https://app\u{3002}example.com/",
        "https://\u{ff41}pp.example.com/",
        "https://app.example.com/\u{202e}",
        "http://localhost/",
        "http://localhost:51730/",
        "http://localhost:5173@evil.example/",
        "http://localhost:3000/",
        "http://127.0.0.1:5173/",
        "https://[2001:db8::1]/",
        "https://[2001:db8::2]:8443/",
        "javascript:alert(1)",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,https://app.example.com/",
        "blob:https://app.example.com/x",
        "view-source:https://app.example.com/",
        "ftp://app.example.com/",
        "ws://app.example.com/",
        "file:///etc/passwd",
        "com.example.app:",
        "com.example.app:/",
        "com.example.app:/callback/",
        "com.example.app:/callback?x=1",
        "com.example.app:/callback#x",
        "com.example.app://callback",
        "COM.example.app:/callback",
        "com.example.app.evil:/callback",
        "com.example.apps:/callback",
        "https://app.example.com/?code=planted",
        "https://app.example.com/?a=1&state=planted",
        "https://app.example.com/?%63ode=planted",
        "https://app.example.com/?error",
    ];

    #[test]
    fn an_apps_scheme_is_a_reversed_domain() {
        for bad in [
            "",
            "app:/callback",
            "https://app.example.com/",
            "http:/x",
            "javascript:/x",
            "data:/x",
            "com.example.app",
            "com.example.app:callback",
            "com.example.app:/a b",
            "com.example.app:/a#b",
            "com.example.app:/?code=1",
            "Com.example.app:/x",
            ".example.app:/x",
            "com..app:/x",
            "com.example.:/x",
            "1com.example:/x",
        ] {
            assert!(AppAddress::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_added_to_what_is_there_and_are_encoded() {
        let to = |text: &str| listed().find(text).unwrap().with(&[("code", "a"), ("state", "x y&z=1#\u{e4}")]);
        let added = "code=a&state=x+y%26z%3D1%23%C3%A4";
        assert_eq!(to("https://app.example.com"), format!("https://app.example.com?{added}"));
        assert_eq!(to("https://app.example.com/?"), format!("https://app.example.com/?{added}"));
        assert_eq!(to("https://app.example.com/?a=1"), format!("https://app.example.com/?a=1&{added}"));
        assert_eq!(to("com.example.app:/callback"), format!("com.example.app:/callback?{added}"));
    }
}
