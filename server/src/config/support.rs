//! Where people reach support, as operators write it.

use url::Url;

/// The longest address, in bytes: it stands in every mail.
const LONGEST: usize = 1_000;

/// The address of a page (`https://`, `http://`), or of a mailbox (`mailto:help@example.com`). Empty for an empty text, which is how an
/// environment says that there is none.
///
/// # Errors
/// One sentence, when it is neither.
pub fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let wrong =
        || format!("{text} is neither a page such as https://studio.example/help nor mailto:help@studio.example");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let fits = match url.scheme() {
        "https" | "http" => url.has_host() && url.username().is_empty() && url.password().is_none(),
        "mailto" => url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        _ => false,
    };
    if fits && url.as_str().len() <= LONGEST { Ok(url.into()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_is_a_page_or_a_mailbox() {
        for (text, expected) in [
            ("https://studio.example/help", "https://studio.example/help"),
            (" https://Studio.example/help?from=mail#top ", "https://studio.example/help?from=mail#top"),
            ("http://127.0.0.1:8080/help", "http://127.0.0.1:8080/help"),
            ("mailto:help@studio.example", "mailto:help@studio.example"),
            ("mailto:help@studio.example?subject=Help%20me", "mailto:help@studio.example?subject=Help%20me"),
            ("", ""),
            ("  ", ""),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected), "{text}");
        }
        for bad in [
            "help@studio.example",
            "studio.example",
            "/help",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://studio.example",
            "mailto:",
            "mailto:nobody",
            "https://u:p@studio.example",
            "https://",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address(&format!("https://studio.example/{}", "x".repeat(1_000))).is_err());
    }
}
