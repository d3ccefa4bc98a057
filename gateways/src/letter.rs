//! What every mail must be before it is written out, whoever carries it: one recipient, headers that no text can add to, bounded
//! bodies, an id that stays the same at every delivery.

use atelier_commands::ports::{GatewayError, Mail};

/// The largest body, in bytes: of the text, and of the HTML.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;
/// The longest value of a header, in bytes.
const MAX_HEADER_BYTES: usize = 998;

/// Whether a mail can be written out.
///
/// # Errors
/// When a header holds a control character or is too long, there is not one recipient, or a body is too large: such a mail is refused
/// whole, so that no text can become a header of its own.
pub(crate) fn check(mail: &Mail) -> Result<(), GatewayError> {
    let unsubscribe = mail.unsubscribe.as_deref().unwrap_or_default();
    for (name, value) in [
        ("recipient", mail.to.as_str()),
        ("subject", &mail.subject),
        ("message id", &mail.message_id),
        ("link to unsubscribe", unsubscribe),
    ] {
        if value.chars().any(char::is_control) || value.len() > MAX_HEADER_BYTES {
            return Err(GatewayError::Refused(format!("the mail's {name} cannot stand in a header")));
        }
    }
    if !unsubscribe.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b',')) {
        return Err(GatewayError::Refused("the mail's link to unsubscribe is not one address".to_owned()));
    }
    if !is_single_address(&mail.to) {
        return Err(GatewayError::Recipient("the mail's recipient is not one address".to_owned()));
    }
    if mail.text.len() > MAX_BODY_BYTES || mail.html.len() > MAX_BODY_BYTES {
        return Err(GatewayError::Refused("the mail's text is too large".to_owned()));
    }
    Ok(())
}

/// The headers by which a mail program ends mails of this kind. One click is promised over HTTPS only (RFC 8058).
pub(crate) fn unsubscribe_headers(mail: &Mail) -> Vec<(&'static str, String)> {
    let Some(link) = &mail.unsubscribe else { return Vec::new() };
    let mut headers = vec![("List-Unsubscribe", format!("<{link}>"))];
    if link.starts_with("https://") {
        headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    headers
}

/// Nothing in it that a mail program reads as a list, a group, a comment or a name.
fn is_single_address(address: &str) -> bool {
    let reserved = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '<' | '>' | '(' | ')' | '"' | '\\');
    address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !address.contains(reserved)
}

/// `<id@host>`; an id that cannot stand there as it is gets a name of safe characters.
pub(crate) fn message_id(id: &str, host: &str) -> String {
    let bare = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id);
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_+=/".contains(c);
    match bare.split_once('@') {
        Some((left, right))
            if !left.is_empty() && !right.is_empty() && left.chars().chain(right.chars()).all(allowed) =>
        {
            format!("<{bare}>")
        }
        None if !bare.is_empty() && bare.chars().all(allowed) => format!("<{bare}@{host}>"),
        _ => format!("<{}@{host}>", safe_name(id)),
    }
}

/// A message id as a file name may hold it: itself when short and plain, else a hash. So no address gets into a name.
pub(crate) fn safe_name(id: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !id.is_empty() && id.len() <= 80 && id.bytes().all(plain) { id.to_owned() } else { hashed(id) }
}

/// FNV-1a, 128 bits, as 32 hexadecimal digits.
pub(crate) fn hashed(id: &str) -> String {
    let prime = 0x0000_0000_0100_0000_0000_0000_0000_013b_u128;
    let hash = id
        .bytes()
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, b| (hash ^ u128::from(b)).wrapping_mul(prime));
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn mail() -> Mail {
        Mail {
            message_id: "m-1".to_owned(),
            account: atelier_domain::AccountId(uuid::Uuid::nil()),
            last: false,
            to: "ada@example.com".to_owned(),
            subject: "Hi".to_owned(),
            text: "t".to_owned(),
            html: "t".to_owned(),
            unsubscribe: None,
            date: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn no_text_becomes_a_header() {
        assert!(check(&mail()).is_ok());
        for bad in ["x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: e", "x\0", "x\u{85}y", "\u{7f}"] {
            assert!(check(&Mail { subject: bad.to_owned(), ..mail() }).is_err(), "{bad:?}");
            assert!(check(&Mail { to: format!("{bad}@example.com"), ..mail() }).is_err(), "{bad:?}");
            assert!(check(&Mail { message_id: bad.to_owned(), ..mail() }).is_err(), "{bad:?}");
            assert!(check(&Mail { unsubscribe: Some(bad.to_owned()), ..mail() }).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_one_address_is_a_recipient() {
        for bad in
            ["", "ada", "@example.com", "ada@", "a@b.c, eve@b.c", "Ada <a@b.c>", "a@b.c;e@b.c", "a b@c.d", "g:a@b.c"]
        {
            assert!(check(&Mail { to: bad.to_owned(), ..mail() }).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_message_id_is_always_well_formed() {
        let message_id = |id| message_id(id, "studio.example");
        let cases = [("m-1", "<m-1@studio.example>"), ("<a@b>", "<a@b>"), ("a@b", "<a@b>")];
        for (id, expected) in cases {
            assert_eq!(message_id(id), expected);
        }
        for odd in ["", "<>", "a b", "a@b@c", "é", "a>b", "@b", "Welcome:1:0"] {
            let made = message_id(odd);
            assert!(made.starts_with('<') && made.ends_with("@studio.example>") && !made[1..].contains('<'), "{made}");
        }
    }

    #[test]
    fn v16_one_click_is_promised_over_https_only() {
        let headers = |link: &str| unsubscribe_headers(&Mail { unsubscribe: Some(link.to_owned()), ..mail() });
        assert_eq!(headers("http://localhost/u").len(), 1);
        let names: Vec<_> = headers("https://studio.example/u").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["List-Unsubscribe", "List-Unsubscribe-Post"]);
        assert!(unsubscribe_headers(&mail()).is_empty());
    }

    #[test]
    fn a_mail_too_large_is_refused() {
        let text = |bytes: usize| Mail { text: "x".repeat(bytes), ..mail() };
        assert!(check(&text(MAX_BODY_BYTES)).is_ok());
        assert!(check(&text(MAX_BODY_BYTES + 1)).is_err());
        assert!(check(&Mail { html: "x".repeat(MAX_BODY_BYTES + 1), ..mail() }).is_err());
        let (most, over) = ("x".repeat(MAX_HEADER_BYTES), "x".repeat(MAX_HEADER_BYTES + 1));
        assert!(check(&Mail { subject: most, ..mail() }).is_ok());
        for mail in [
            Mail { subject: over.clone(), ..mail() },
            Mail { message_id: over.clone(), ..mail() },
            Mail { to: format!("{over}@example.com"), ..mail() },
            Mail { unsubscribe: Some(over), ..mail() },
        ] {
            assert!(check(&mail).is_err(), "a header too long");
        }
    }
}
