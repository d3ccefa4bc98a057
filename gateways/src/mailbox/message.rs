//! A mail's text form: RFC 5322 headers, RFC 2047 encoded words, a UTF-8 plain-text body; and back.

use atelier_commands::ports::{GatewayError, Mail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

/// The largest body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;
/// The longest value of a header we write, in bytes.
const MAX_HEADER_BYTES: usize = 998;
/// The longest line RFC 5322 allows, in bytes without its CRLF.
const MAX_LINE_BYTES: usize = 998;
/// Text bytes in one encoded word: 42 make 56 of base64, and the line stays within RFC 2047's 76 with its header's name.
const WORD_BYTES: usize = 42;

/// The sender of every development mail.
const FROM: &str = "atelier <no-reply@atelier.localhost>";

/// A mail as it reads in the mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct MailText {
    /// The recipient's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// When the message was decided; `None` when the file was tampered with.
    pub date: Option<DateTime<Utc>>,
    /// The plain text, lines ended by LF.
    pub text: String,
}

/// Writes a mail out.
///
/// # Errors
/// When a header holds a control character or is too long, or the body is too large: such a mail is refused whole, so
/// that no text can become a header of its own.
pub(crate) fn encode(mail: &Mail) -> Result<Vec<u8>, GatewayError> {
    for (name, value) in [("recipient", &mail.to), ("subject", &mail.subject), ("message id", &mail.message_id)] {
        if value.chars().any(char::is_control) || value.len() > MAX_HEADER_BYTES {
            return Err(GatewayError::Refused(format!("the mail's {name} cannot stand in a header")));
        }
    }
    if !is_single_address(&mail.to) {
        return Err(GatewayError::Refused("the mail's recipient is not one address".to_owned()));
    }
    if mail.text.len() > MAX_BODY_BYTES {
        return Err(GatewayError::Refused("the mail's text is too large".to_owned()));
    }
    let body = mail.text.replace("\r\n", "\n").replace('\r', "\n");
    let plain = !body.contains('\0') && body.lines().all(|line| line.len() <= MAX_LINE_BYTES);
    let encoding = if plain { "8bit" } else { "base64" };
    let mut text = String::new();
    for (name, value) in [
        ("From", FROM.to_owned()),
        ("To", mail.to.clone()),
        ("Subject", header_text(&mail.subject)),
        ("Date", mail.date.to_rfc2822()),
        ("Message-ID", message_id(&mail.message_id)),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("Content-Transfer-Encoding", encoding.to_owned()),
    ] {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    if plain {
        text.push_str(&body.replace('\n', "\r\n"));
    } else {
        let encoded = STANDARD.encode(&body);
        for line in encoded.as_bytes().chunks(76) {
            text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            text.push_str("\r\n");
        }
    }
    Ok(text.into_bytes())
}

/// Nothing in it that a mail program reads as a list, a group, a comment or a name.
fn is_single_address(address: &str) -> bool {
    let reserved = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '<' | '>' | '(' | ')' | '"' | '\\');
    address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !address.contains(reserved)
}

/// `<id@host>`; an id that cannot stand there as it is gets a name of safe characters.
fn message_id(id: &str) -> String {
    let bare = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id);
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_+=/".contains(c);
    match bare.split_once('@') {
        Some((left, right))
            if !left.is_empty() && !right.is_empty() && left.chars().chain(right.chars()).all(allowed) =>
        {
            format!("<{bare}>")
        }
        None if !bare.is_empty() && bare.chars().all(allowed) => format!("<{bare}@atelier.localhost>"),
        _ => format!("<{}@atelier.localhost>", super::safe_name(id)),
    }
}

/// A header value as it is when short and printable ASCII, else as encoded words, one to a line.
fn header_text(value: &str) -> String {
    let plain = value.bytes().all(|b| (b' '..=b'~').contains(&b));
    if plain && value.len() <= 60 && !value.contains("=?") && value.trim() == value {
        return value.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in value.chars() {
        if word.len() + c.len_utf8() > WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect::<Vec<_>>().join("\r\n ")
}

fn header_value(value: &str) -> String {
    // Encoded words next to each other join without the white space between them (RFC 2047, 6.2).
    let mut decoded = Vec::new();
    for word in value.split_whitespace() {
        let inner = word.strip_prefix("=?utf-8?B?").and_then(|word| word.strip_suffix("?="));
        match inner.and_then(|inner| STANDARD.decode(inner).ok()) {
            Some(bytes) => decoded.extend(bytes),
            None => return value.to_owned(),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Reads a mail that [`encode`] wrote; `None` when it is none.
pub(crate) fn decode(bytes: &[u8]) -> Option<MailText> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let unfolded = head.replace("\r\n ", " ");
    let header = |name: &str| {
        let mut lines = unfolded.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let body = body.replace("\r\n", "\n");
    let text = if header("Content-Transfer-Encoding").as_deref() == Some("base64") {
        String::from_utf8(STANDARD.decode(body.replace('\n', "")).ok()?).ok()?
    } else {
        body
    };
    Some(MailText {
        to: header("To")?,
        subject: header_value(&header("Subject")?),
        date: header("Date").and_then(|date| DateTime::parse_from_rfc2822(&date).ok()).map(|date| date.to_utc()),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, text: &str) -> Mail {
        Mail {
            message_id: "m-1".to_owned(),
            to: "ada@example.com".to_owned(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            date: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn a_plain_mail_is_written_to_the_byte() {
        let bytes = encode(&mail("Welcome", "Hello,\nada.\n")).unwrap();
        let expected = "From: atelier <no-reply@atelier.localhost>\r\nTo: ada@example.com\r\nSubject: Welcome\r\n\
            Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <m-1@atelier.localhost>\r\nMIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHello,\r\nada.\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn every_subject_and_text_comes_back() {
        let subjects = ["Hi", "Größe", " padded ", "=?utf-8?B?eA==?=", &"å∆🎨".repeat(40), &"long ".repeat(60), ""];
        let texts = ["", "one", "a\nb\n\n", "ünï ✓\n", &"x".repeat(3000), "Bcc: eve@example.com\n\nStill text"];
        for subject in subjects {
            for text in texts {
                let bytes = encode(&mail(subject, text)).unwrap();
                let back = decode(&bytes).unwrap();
                assert!(back.subject == subject, "{subject:?} became {:?}", back.subject);
                assert!(back.text == text, "{text:?} became {:?}", back.text);
                assert!(back.to == "ada@example.com" && back.date == DateTime::from_timestamp(1_700_000_000, 0));
            }
        }
    }

    #[test]
    fn every_line_ends_by_crlf_and_is_short_enough() {
        let bytes = encode(&mail(&"ü".repeat(200), &format!("a\rb\r\nc\n{}", "x".repeat(2000)))).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(text.split("\r\n").all(|line| line.len() <= 78));
    }

    #[test]
    fn no_text_becomes_a_header() {
        for bad in ["x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: e", "x\0", "x\u{85}y", "\u{7f}"] {
            assert!(encode(&mail(bad, "t")).is_err(), "{bad:?}");
            let to = Mail { to: format!("{bad}@example.com"), ..mail("s", "t") };
            assert!(encode(&to).is_err(), "{bad:?}");
            let id = Mail { message_id: bad.to_owned(), ..mail("s", "t") };
            assert!(encode(&id).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_one_address_is_a_recipient() {
        for bad in
            ["", "ada", "@example.com", "ada@", "a@b.c, eve@b.c", "Ada <a@b.c>", "a@b.c;e@b.c", "a b@c.d", "g:a@b.c"]
        {
            assert!(encode(&Mail { to: bad.to_owned(), ..mail("s", "t") }).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_message_id_is_always_well_formed() {
        let cases = [("m-1", "<m-1@atelier.localhost>"), ("<a@b>", "<a@b>"), ("a@b", "<a@b>")];
        for (id, expected) in cases {
            assert_eq!(message_id(id), expected);
        }
        for odd in ["", "<>", "a b", "a@b@c", "é", "a>b", "@b"] {
            let made = message_id(odd);
            assert!(
                made.starts_with('<') && made.ends_with("@atelier.localhost>") && !made[1..].contains('<'),
                "{made}"
            );
        }
    }

    #[test]
    fn a_mail_too_large_is_refused() {
        assert!(encode(&mail("s", &"x".repeat(MAX_BODY_BYTES))).is_ok());
        assert!(encode(&mail("s", &"x".repeat(MAX_BODY_BYTES + 1))).is_err());
        assert!(encode(&mail(&"x".repeat(MAX_HEADER_BYTES + 1), "t")).is_err());
    }
}
