//! Whose pages are ours: the list that CORS, cookies and sockets go by (sec.R2).
//!
//! A browser sends cookies with a request whichever page asks for it, as far as `SameSite` lets it: a page on a sibling domain, or on
//! another port of the same machine, is same-site. What such a page cannot do is hide its origin.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::config::{AccessConfig, origin};

/// The origins whose pages are ours.
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

/// Where a request comes from, as far as its browser says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A page of an origin in the list.
    Listed,
    /// A page of the very address that is asked, or nothing that says to be a page: links, images, and what is no browser.
    Own,
    /// A page of another origin.
    Foreign,
}

impl Origins {
    /// This server's own, the frontend's, and those that are configured. On loopback every name of the machine is its own.
    #[must_use]
    pub fn of(public_url: &str, access: &AccessConfig) -> Self {
        let configured = access.frontend_url.iter().chain(&access.origins).filter_map(|url| origin(url).ok());
        let origins = own(public_url).into_iter().chain(configured).filter(|origin| !origin.is_empty());
        Self(origins.collect())
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        self.0.iter().any(|known| known.as_bytes() == origin.as_bytes())
    }

    /// Where a request comes from. A page whose address is the one it asks is no foreign one, whatever the list says: that is how a
    /// development server forwards, and a machine is reached by several names.
    #[must_use]
    pub fn sender(&self, headers: &HeaderMap) -> Sender {
        let mut sent = headers.get_all(header::ORIGIN).iter();
        let origin = match (sent.next(), sent.next()) {
            (None, _) => return Sender::Own,
            (Some(origin), None) => origin,
            (Some(_), Some(_)) => return Sender::Foreign,
        };
        if self.lists(origin) {
            return Sender::Listed;
        }
        // No page can write this header.
        let own = match headers.get("sec-fetch-site") {
            Some(site) => site == "same-origin",
            None => headers.get(header::HOST).is_some_and(|host| {
                let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
                authority.is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
            }),
        };
        if own { Sender::Own } else { Sender::Foreign }
    }

    /// Whether a form was sent by a page of this server. Every current browser says so; of an older one the origin decides, and there a
    /// listed page cannot be told from our own.
    #[must_use]
    pub fn own_page(&self, headers: &HeaderMap) -> bool {
        let same = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
        same && self.sender(headers) != Sender::Foreign
    }

    /// Whether an upgrade may go on: a page must be one of ours, and a cookie counts only from a page. What sends neither is no browser
    /// and has to bring its token itself. No policy of origins keeps a page from reading what a socket brings, so that this is the
    /// whole defence (cross-site WebSocket hijacking).
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap, cookie: bool) -> bool {
        let mut sent = headers.get_all(header::ORIGIN).iter();
        match (sent.next(), sent.next()) {
            (None, _) => !cookie,
            (Some(origin), None) => self.lists(origin),
            (Some(_), Some(_)) => false,
        }
    }
}

/// The origins of this server's own pages.
fn own(public_url: &str) -> Vec<String> {
    let Some((own, url)) = origin(public_url).ok().zip(Url::parse(public_url).ok()) else { return Vec::new() };
    let host = url.host_str().unwrap_or_default();
    let loopback =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if !loopback {
        return vec![own];
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{}://{name}{port}", url.scheme())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(sent: &[&str]) -> HeaderMap {
        sent.iter().map(|origin| (header::ORIGIN, origin.parse().expect("a header"))).collect()
    }

    fn admitted(public: &str, access: &AccessConfig, sent: &[&str], cookie: bool) -> bool {
        Origins::of(public, access).admit(&headers(sent), cookie)
    }

    fn example() -> AccessConfig {
        AccessConfig {
            frontend_url: Some("https://Studio.example.com:443/app/".to_owned()),
            origins: vec!["https://partner.example:8443".to_owned(), String::new()],
            ..AccessConfig::default()
        }
    }

    const OWN: &str = "https://atelier.example/api";

    #[test]
    fn r2_only_pages_of_ours_and_a_cookie_only_from_a_page() {
        let access = example();
        let table: [(&[&str], bool); 11] = [
            (&["https://atelier.example"], true),
            (&["https://studio.example.com"], true),
            (&["https://partner.example:8443"], true),
            (&["https://partner.example"], false),
            (&["http://atelier.example"], false),
            (&["https://atelier.example.evil.com"], false),
            (&["https://evil.com/?https://atelier.example"], false),
            (&["https://sub.atelier.example"], false),
            (&["null"], false),
            (&[""], false),
            (&["https://atelier.example", "https://evil.com"], false),
        ];
        for (sent, expected) in table {
            assert_eq!(admitted(OWN, &access, sent, true), expected, "{sent:?} with the cookie");
            assert_eq!(admitted(OWN, &access, sent, false), expected, "{sent:?} without");
            let sender = if expected { Sender::Listed } else { Sender::Foreign };
            assert_eq!(Origins::of(OWN, &access).sender(&headers(sent)), sender, "{sent:?}");
        }
        assert!(!admitted(OWN, &access, &[], true), "a cookie without a page");
        assert!(admitted(OWN, &access, &[], false), "no browser");
    }

    #[test]
    fn o1_a_form_of_another_site_is_not_a_form_of_our_own_page() {
        let origins = Origins::of(OWN, &example());
        // Origin, Sec-Fetch-Site.
        let table = [
            ("https://atelier.example", "same-origin", true),
            ("null", "same-origin", true),
            ("", "same-origin", true),
            ("https://atelier.example", "", true),
            ("", "", true),
            ("https://partner.example:8443", "cross-site", false),
            ("https://studio.example.com", "same-site", false),
            ("https://evil.com", "cross-site", false),
            ("https://evil.com", "", false),
            ("null", "", false),
            ("null", "none", false),
        ];
        for (origin, site, expected) in table {
            let sent = [("origin", origin), ("sec-fetch-site", site), ("host", "atelier.example")];
            let sent = sent.into_iter().filter(|(_, value)| !value.is_empty());
            let headers = sent.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a header")));
            assert_eq!(origins.own_page(&headers.collect()), expected, "{origin} {site}");
        }
    }

    #[test]
    fn r2_on_loopback_every_name_of_the_machine_with_that_port() {
        let access = AccessConfig::default();
        for own in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
            for page in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
                assert!(admitted(own, &access, &[page], true), "{page} at {own}");
            }
            for page in ["http://localhost:3000", "http://localhost", "https://localhost:8080", "http://10.0.0.1:8080"]
            {
                assert!(!admitted(own, &access, &[page], true), "{page} at {own}");
            }
        }
    }

    #[test]
    fn r2_a_page_of_the_address_that_is_asked_is_no_foreign_one() {
        let origins = Origins::of(OWN, &AccessConfig::default());
        // Origin, Sec-Fetch-Site, Host.
        let table = [
            ("", "", "anything", Sender::Own),
            ("", "cross-site", "anything", Sender::Own),
            ("http://localhost:5173", "same-origin", "127.0.0.1:8080", Sender::Own),
            ("null", "same-origin", "127.0.0.1:8080", Sender::Own),
            ("http://192.168.0.7:8080", "", "192.168.0.7:8080", Sender::Own),
            ("http://Other.example", "", "other.example", Sender::Own),
            ("http://localhost:5173", "same-site", "localhost:5173", Sender::Foreign),
            ("http://localhost:5173", "cross-site", "127.0.0.1:8080", Sender::Foreign),
            ("http://localhost:5173", "", "127.0.0.1:8080", Sender::Foreign),
            ("null", "", "127.0.0.1:8080", Sender::Foreign),
            ("null", "cross-site", "null", Sender::Foreign),
            ("https://atelier.example", "cross-site", "127.0.0.1:8080", Sender::Listed),
        ];
        for (origin, site, host, expected) in table {
            let sent = [("origin", origin), ("sec-fetch-site", site), ("host", host)];
            let sent = sent.into_iter().filter(|(_, value)| !value.is_empty());
            let headers = sent.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a header")));
            assert_eq!(origins.sender(&headers.collect()), expected, "{origin} {site} at {host}");
        }
    }
}
