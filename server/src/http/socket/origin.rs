//! Whose pages may open sockets: a browser sends cookies with every upgrade, whichever page asks for it, and no policy of origins keeps
//! that page from reading what comes (sec.R2, cross-site WebSocket hijacking).

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::config::AccessConfig;

/// The origins whose pages may open sockets.
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    /// This server's own, the frontend's, and those that are configured. On loopback every name of the machine is its own.
    #[must_use]
    pub fn of(public_url: &str, access: &AccessConfig) -> Self {
        let mut origins: Vec<String> = origin(public_url).into_iter().collect();
        if let Some((scheme, host, port)) = origins.first().and_then(|own| parts(own)) {
            let loopback = host == "localhost"
                || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
            if loopback {
                let names = ["localhost", "127.0.0.1", "[::1]"];
                origins = names.iter().map(|name| format!("{scheme}://{name}{port}")).collect();
            }
        }
        origins.extend(access.frontend_url.as_deref().and_then(origin));
        origins.extend(access.origins.iter().filter_map(|url| origin(url)));
        Self(origins)
    }

    /// Whether an upgrade may go on: a page must be one of ours, and a cookie counts only from a page. What sends neither is no browser
    /// and has to bring its token itself.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap, cookie: bool) -> bool {
        let mut sent = headers.get_all(header::ORIGIN).iter();
        match (sent.next(), sent.next()) {
            (None, _) => !cookie,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.0.iter().any(|known| known == origin)),
            (Some(_), Some(_)) => false,
        }
    }
}

/// A URL's origin as browsers write it: in small letters, without the scheme's own port.
pub fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = authority.strip_suffix(port).unwrap_or(&authority);
    Some(format!("{scheme}://{authority}"))
}

/// Scheme, host, and `:port` if there is one.
fn parts(origin: &str) -> Option<(String, String, String)> {
    let (scheme, authority) = origin.split_once("://")?;
    let port = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let (host, port) = authority.split_at(port.unwrap_or(authority.len()));
    Some((scheme.to_owned(), host.to_owned(), port.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(public: &str, access: &AccessConfig, sent: &[&str], cookie: bool) -> bool {
        let mut headers = HeaderMap::new();
        sent.iter().for_each(|origin| {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        });
        Origins::of(public, access).admit(&headers, cookie)
    }

    #[test]
    fn r2_only_pages_of_ours_and_a_cookie_only_from_a_page() {
        let access = AccessConfig {
            frontend_url: Some("https://Studio.example.com:443/app/".to_owned()),
            origins: vec!["https://partner.example:8443".to_owned()],
            ..AccessConfig::default()
        };
        let own = "https://atelier.example/api";
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
            assert_eq!(admitted(own, &access, sent, true), expected, "{sent:?} with the cookie");
            assert_eq!(admitted(own, &access, sent, false), expected, "{sent:?} without");
        }
        assert!(!admitted(own, &access, &[], true), "a cookie without a page");
        assert!(admitted(own, &access, &[], false), "no browser");
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
}
