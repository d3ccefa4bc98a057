//! A mail's text form: RFC 5322 headers, RFC 2047 encoded words, a UTF-8 text and the same as HTML; and back.

use atelier_commands::ports::{GatewayError, Mail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use crate::letter;

/// The longest line RFC 5322 allows, in bytes without its CRLF.
const MAX_LINE_BYTES: usize = 998;
/// Text bytes in one encoded word: 42 make 56 of base64, and the line stays within RFC 2047's 76 with its header's name.
const WORD_BYTES: usize = 42;

/// The host of every development mail, and its sender.
const HOST: &str = "atelier.localhost";
const FROM: &str = "atelier <no-reply@atelier.localhost>";

/// Stands for the address of somebody whose account is deleted.
const NOBODY: &str = "deleted@atelier.localhost";
/// Whose mail it is.
const ACCOUNT: &str = "X-Atelier-Account";

/// A mail as it reads in the mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct MailText {
    /// The recipient's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// When the message was decided; `None` when the file was tampered with.
    pub date: Option<DateTime<Utc>>,
    /// Whose mail it is; `None` in a mail of an older release.
    pub account: Option<String>,
    /// The plain text, lines ended by LF.
    pub text: String,
    /// The same as HTML; `None` in a mail of an older release.
    pub html: Option<String>,
}

/// Writes a mail out.
///
/// # Errors
/// When [`letter::check`] refuses it, or the body holds what divides its halves.
pub(crate) fn encode(mail: &Mail) -> Result<Vec<u8>, GatewayError> {
    letter::check(mail)?;
    let boundary = format!("=_atelier_{}", letter::hashed(&mail.message_id));
    if mail.text.contains(&boundary) || mail.html.contains(&boundary) {
        return Err(GatewayError::Refused("the mail's text holds the boundary of its parts".to_owned()));
    }
    let mut text = String::new();
    for (name, value) in [
        ("From", FROM.to_owned()),
        ("To", if mail.last { NOBODY.to_owned() } else { mail.to.clone() }),
        (ACCOUNT, mail.account.to_string()),
        ("Subject", header_text(&mail.subject)),
        ("Date", mail.date.to_rfc2822()),
        ("Message-ID", letter::message_id(&mail.message_id, HOST)),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", format!("multipart/alternative;\r\n boundary=\"{boundary}\"")),
    ] {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in letter::unsubscribe_headers(mail) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (kind, body) in [("text/plain", &mail.text), ("text/html", &mail.html)] {
        text.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {kind}; charset=utf-8\r\n"));
        push_body(&mut text, body);
    }
    text.push_str(&format!("\r\n--{boundary}--\r\n"));
    Ok(text.into_bytes())
}

/// One half, readable as it is where lines allow.
fn push_body(text: &mut String, body: &str) {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let plain = !body.contains('\0') && body.lines().all(|line| line.len() <= MAX_LINE_BYTES);
    let encoding = if plain { "8bit" } else { "base64" };
    text.push_str(&format!("Content-Transfer-Encoding: {encoding}\r\n\r\n"));
    if plain {
        text.push_str(&body.replace('\n', "\r\n"));
        return;
    }
    for line in STANDARD.encode(&body).as_bytes().chunks(76) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push_str("\r\n");
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

/// Reads a mail that [`encode`] wrote, in this release or an older one; `None` when it is none.
pub(crate) fn decode(bytes: &[u8]) -> Option<MailText> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.replace("\r\n ", " ");
    let kind = header(&head, "Content-Type")?;
    let (plain, html) = match kind.split_once("boundary=\"").and_then(|(_, rest)| rest.strip_suffix('"')) {
        Some(boundary) => {
            let divider = format!("\r\n--{boundary}");
            // The first half begins right after the empty line.
            let whole = format!("\r\n{body}");
            let mut halves = whole.split(&divider).skip(1).map(|half| {
                let (head, body) = half.split_once("\r\n\r\n")?;
                body_text(head, body)
            });
            (halves.next()??, halves.next().flatten())
        }
        None => (body_text(&head, body)?, None),
    };
    Some(MailText {
        to: header(&head, "To")?,
        account: header(&head, ACCOUNT),
        subject: header_value(&header(&head, "Subject")?),
        date: header(&head, "Date").and_then(|date| DateTime::parse_from_rfc2822(&date).ok()).map(|date| date.to_utc()),
        text: plain,
        html,
    })
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

fn body_text(head: &str, body: &str) -> Option<String> {
    let body = body.replace("\r\n", "\n");
    if header(head, "Content-Transfer-Encoding").as_deref() == Some("base64") {
        return String::from_utf8(STANDARD.decode(body.replace('\n', "")).ok()?).ok();
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, text: &str) -> Mail {
        Mail {
            message_id: "m-1".to_owned(),
            account: atelier_domain::AccountId(uuid::Uuid::nil()),
            last: false,
            to: "ada@example.com".to_owned(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: format!("<p>{text}</p>"),
            unsubscribe: None,
            date: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn a_plain_mail_is_written_to_the_byte() {
        let mail = Mail {
            unsubscribe: Some("https://studio.example/u?token=t".to_owned()),
            ..mail("Welcome", "Hello,\nada.\n")
        };
        let bytes = encode(&mail).unwrap();
        let expected = "From: atelier <no-reply@atelier.localhost>\r\nTo: ada@example.com\r\nX-Atelier-Account: 00000000-0000-0000-0000-000000000000\r\nSubject: Welcome\r\n\
            Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <m-1@atelier.localhost>\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"=_atelier_HASH\"\r\n\
            List-Unsubscribe: <https://studio.example/u?token=t>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n\
            --=_atelier_HASH\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHello,\r\nada.\r\n\r\n\
            --=_atelier_HASH\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Hello,\r\nada.\r\n</p>\r\n\
            --=_atelier_HASH--\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected.replace("HASH", &letter::hashed("m-1")));
    }

    #[test]
    fn a_mail_of_an_older_release_is_still_read() {
        let old = "To: ada@example.com\r\nSubject: Hi\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 8bit\r\n\r\nHello,\r\nada.\r\n";
        let read = decode(old.as_bytes()).unwrap();
        assert!(read.text == "Hello,\nada.\n" && read.html.is_none() && read.subject == "Hi");
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
                assert!(back.html == Some(format!("<p>{text}</p>")), "{text:?} became {:?}", back.html);
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
}
