//! Origins as operators write them, and as browsers send them.

use url::{Origin, Url};

/// The origin of an address as a browser writes it: lower case, punycode, without the scheme's own port. Empty for an empty text, which
/// is how an environment says that there is none.
///
/// # Errors
/// One sentence, when no page can have this origin.
pub fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let wrong = || format!("{text} is not an origin such as https://app.example.com");
    if text.contains('*') {
        return Err(format!("{text} is a pattern; name each origin"));
    }
    let url = Url::parse(text).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    match (url.origin(), url.scheme()) {
        (origin @ Origin::Tuple(..), "http" | "https") => Ok(origin.ascii_serialization()),
        (Origin::Tuple(..), _) => Err(wrong()),
        // The pages of an app, such as capacitor://localhost.
        (Origin::Opaque(_), scheme) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Ok(format!("{scheme}://{}{port}", host.to_ascii_lowercase()))
        }
    }
}

/// An address whose pages links lead to; it has an origin.
///
/// # Errors
/// As [`origin`].
pub fn address(text: &str) -> Result<String, String> {
    origin(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, expected) in [
            ("https://app.example.com", "https://app.example.com"),
            (" HTTPS://App.Example.com:443/app/?q#f ", "https://app.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:3000/", "http://localhost:3000"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("app.example://Host:1/x", "app.example://host:1"),
            ("", ""),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "null",
            "*",
            "app.example.com",
            "https://*.example.com",
            "https://",
            "file:///a",
            "com.example:/x",
            "ws://a",
        ]
        .into_iter()
        .chain(["https://a b", "https://user@a", "data:text/plain,x"])
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
