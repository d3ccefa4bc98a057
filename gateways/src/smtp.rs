//! Mail by SMTP: TLS unless the server is this machine, connections that are kept, and refusals for good told from those of the moment, and
//! refused recipients from both.

mod server;

use std::net::IpAddr;
use std::time::SystemTime;

use async_trait::async_trait;
use atelier_commands::ports::{GatewayError, Mail, Mailer};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use reqwest::Url;

use self::server::{Cause, Server, Step, Stopped};
use crate::letter;

/// What the server answers when it is our sign-in that it refuses: the operator's to mend, and no mail is lost over it.
const SIGN_IN_REFUSED: [u16; 4] = [530, 534, 535, 538];

/// What is wrong with the settings of the mail server; quotes nothing of them, for they hold a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSmtp(&'static str);

/// A mail server.
#[derive(Clone)]
pub struct Smtp {
    server: Server,
    from: Mailbox,
}

impl Smtp {
    /// A mail server by its URL, `smtps://user:password@host` or `smtp://...`: STARTTLS is required of the latter, unless it is on this
    /// machine or the URL says `?tls=none`. `from` is the sender, `Name <address>`. Nothing is connected to yet.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn open(url: &str, from: &str) -> Result<Self, InvalidSmtp> {
        let url = secured(url)?;
        let from: Mailbox = from.parse().map_err(|_| InvalidSmtp("ATELIER_MAIL_FROM is not one address"))?;
        let server = Server::of(&url, from.email.domain()).ok_or(InvalidSmtp("ATELIER_SMTP_URL cannot be used"))?;
        Ok(Self { server, from })
    }

    /// Connects, signs in and says hello; for `atelier doctor`.
    ///
    /// # Errors
    /// When the server does not answer, or not well.
    pub async fn check(&self) -> Result<(), GatewayError> {
        let answers = self.server.answers().await.map_err(|stopped| failed(&stopped))?;
        if answers { Ok(()) } else { Err(GatewayError::Unavailable("the mail server does not answer".to_owned())) }
    }

    fn message(&self, mail: &Mail) -> Result<Message, GatewayError> {
        letter::check(mail)?;
        // An address that a release before let in, and that no mail server could be given.
        let unmailable = |_| GatewayError::Recipient("the recipient is no address that can be mailed".to_owned());
        let to: Address = mail.to.parse().map_err(unmailable)?;
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.as_str())
            .date(SystemTime::from(mail.date))
            .message_id(Some(letter::message_id(&mail.message_id, self.from.email.domain())));
        for (name, value) in letter::unsubscribe_headers(mail) {
            message = message.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
        }
        let part = |kind, body: &str| SinglePart::builder().header(kind).body(body.to_owned());
        let halves = MultiPart::alternative()
            .boundary(letter::hashed(&mail.message_id))
            .singlepart(part(ContentType::TEXT_PLAIN, &mail.text))
            .singlepart(part(ContentType::TEXT_HTML, &mail.html));
        message.multipart(halves).map_err(|_| refused("the mail cannot be written out"))
    }
}

/// The URL with the transport security that is meant, in the words of the library.
fn secured(url: &str) -> Result<Url, InvalidSmtp> {
    const FORM: InvalidSmtp =
        InvalidSmtp("ATELIER_SMTP_URL must be like smtps://user:password@host or smtp://host:587");
    let mut url = Url::parse(url).map_err(|_| FORM)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    let starttls = match (url.scheme(), tls.as_deref()) {
        ("smtps", None) => false,
        ("smtp", None) => !here,
        ("smtp", Some("required")) => true,
        ("smtp", Some("none")) => false,
        ("smtp" | "smtps", _) => return Err(InvalidSmtp("ATELIER_SMTP_URL: tls is `required` or `none`")),
        _ => return Err(FORM),
    };
    url.set_query(starttls.then_some("tls=required"));
    Ok(url)
}

fn refused(what: &str) -> GatewayError {
    GatewayError::Refused(what.to_owned())
}

/// What went wrong, in our own words: the server's may quote the recipient.
fn failed(stopped: &Stopped) -> GatewayError {
    let error = match &stopped.cause {
        Cause::Said(error) => error,
        Cause::Silent => return GatewayError::Unavailable("the mail server did not answer in time".to_owned()),
        Cause::AsciiOnly if stopped.step == Step::Recipient => {
            return GatewayError::Recipient("the mail server takes no addresses beyond ASCII".to_owned());
        }
        Cause::AsciiOnly => return refused("the mail server takes no letters beyond ASCII"),
    };
    if let Some(code) = error.status() {
        let number = u16::from(code);
        let said = format!("the mail server answered {number}");
        let for_good = error.is_permanent() && !SIGN_IN_REFUSED.contains(&number);
        return match stopped.step {
            Step::Recipient if for_good => GatewayError::Recipient(said),
            Step::Session | Step::Recipient | Step::Message if for_good => GatewayError::Refused(said),
            Step::Session | Step::Recipient | Step::Message => GatewayError::Unavailable(said),
        };
    }
    GatewayError::Unavailable(if error.is_timeout() {
        "the mail server did not answer in time".to_owned()
    } else if error.is_tls() {
        "no secure connection to the mail server".to_owned()
    } else if error.is_client() {
        "the mail server does not offer the sign-in or the security that is asked for".to_owned()
    } else {
        "no connection to the mail server".to_owned()
    })
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: Mail) -> Result<(), GatewayError> {
        let message = self.message(&mail)?;
        let server = self.server.clone();
        // In a task of its own: a conversation that its caller gave up in the middle would leave open whether the server has the mail.
        // Each of its steps is bounded.
        let sent = tokio::spawn(async move { server.deliver(&message).await }).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(stopped)) => Err(failed(&stopped)),
            Err(_) => Err(GatewayError::Unavailable("the mail was not sent".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(url: &str) -> Option<String> {
        secured(url).ok().map(|url| url.as_str().to_owned())
    }

    #[test]
    fn s7_a_mail_leaves_this_machine_over_tls_only_unless_it_is_said_otherwise() {
        for (url, expected) in [
            ("smtp://u:p@mail.example:587", "smtp://u:p@mail.example:587?tls=required"),
            ("smtp://mail.example?tls=required", "smtp://mail.example?tls=required"),
            ("smtp://mail.example?tls=none", "smtp://mail.example"),
            ("smtps://u:p@mail.example", "smtps://u:p@mail.example"),
            ("smtp://127.0.0.1:25", "smtp://127.0.0.1:25"),
            ("smtp://localhost:25?tls=required", "smtp://localhost:25?tls=required"),
            ("smtp://[::1]:25", "smtp://[::1]:25"),
            ("smtp://127.0.0.1.mail.example", "smtp://127.0.0.1.mail.example?tls=required"),
        ] {
            assert_eq!(meant(url).as_deref(), Some(expected), "{url}");
        }
        for bad in
            ["", "mail.example", "http://mail.example", "smtp://", "smtp://a?tls=opportunistic", "smtps://a?tls=none"]
        {
            assert_eq!(meant(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn no_setting_is_quoted_in_an_error() {
        for (url, from) in
            [("smtp://u:s3cret@", "a@b.example"), ("nonsense-s3cret", "a@b.example"), ("smtp://u:s3cret@h", "s3cret")]
        {
            let error = Smtp::open(url, from).err().expect("it cannot be used").to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
