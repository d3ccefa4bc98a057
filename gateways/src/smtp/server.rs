//! A conversation with a mail server, step by step, so that a refusal says what it refuses: us, the recipient, or the message. The library
//! sends a mail in one call, whose error names no step.
//!
//! Connections are kept for the next mail: a few, for a while. One on which anything went wrong is closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long the server may take to connect, and for each answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most connections kept open, and for how long an idle one is.
const CONNECTIONS: usize = 4;
const IDLE: Duration = Duration::from_secs(30);

/// How far the conversation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Connecting, the greeting, the security, the sign-in, and the sender: what concerns us, and every mail alike.
    Session,
    /// The recipient.
    Recipient,
    /// The message.
    Message,
}

/// Why a mail was not handed over.
#[derive(Debug)]
pub(super) enum Cause {
    /// The server's answer, or the connection's fault.
    Said(Error),
    /// No answer in time.
    Silent,
    /// The server takes no addresses beyond ASCII (SMTPUTF8), or no letters beyond ASCII in a message that has some (8BITMIME).
    AsciiOnly,
}

/// Where a mail stopped, and why.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) step: Step,
    pub(super) cause: Cause,
}

/// How the connection is secured.
#[derive(Clone)]
enum Security {
    None,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

/// A mail server and the connections to it that are kept.
#[derive(Clone)]
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
    idle: Arc<Mutex<Vec<(AsyncSmtpConnection, Instant)>>>,
}

impl Server {
    /// The server of a URL whose security is decided (`tls=required`, `smtps`, or none); the path is the name we say hello by, `hello` without one.
    /// `None` when the URL cannot be used.
    pub(super) fn of(url: &Url, hello: &str) -> Option<Self> {
        let host = url.host_str()?.to_owned();
        let tls = || TlsParameters::new(host.clone()).ok();
        let starttls = url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
        let (security, usual) = match url.scheme() {
            "smtps" => (Security::Tls(tls()?), 465),
            _ if starttls => (Security::StartTls(tls()?), 587),
            _ => (Security::None, 25),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
        let credentials = match url.password() {
            Some(password) => Some(Credentials::new(decoded(url.username())?, decoded(password)?)),
            None => None,
        };
        let path = url.path().trim_matches('/');
        let hello = ClientId::Domain(if path.is_empty() { hello } else { path }.to_owned());
        // A literal IPv6 address is written in brackets in a URL, and connected to without.
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let idle = Arc::new(Mutex::new(Vec::new()));
        Some(Self { host: bare, port: url.port().unwrap_or(usual), security, credentials, hello, idle })
    }

    /// Connects, secures the connection and signs in.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Stopped> {
        let tls = if let Security::Tls(tls) = &self.security { Some(tls.clone()) } else { None };
        let address = (self.host.as_str(), self.port);
        let opened = AsyncSmtpConnection::connect_tokio1(address, Some(PATIENCE), &self.hello, tls, None);
        let mut connection = answered(Step::Session, opened).await?;
        if let Security::StartTls(tls) = &self.security {
            answered(Step::Session, connection.starttls(tls.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            answered(Step::Session, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    /// Whether the server lets us in and answers.
    pub(super) async fn answers(&self) -> Result<bool, Stopped> {
        let mut connection = self.connect().await?;
        let answers = timeout(PATIENCE, connection.test_connected()).await == Ok(true);
        close(connection).await;
        Ok(answers)
    }

    /// A connection that was kept and still answers, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Stopped> {
        loop {
            let kept = self.idle.lock().await.pop();
            let Some((mut connection, since)) = kept else { return self.connect().await };
            if since.elapsed() < IDLE && timeout(PATIENCE, connection.test_connected()).await == Ok(true) {
                return Ok(connection);
            }
            close(connection).await;
        }
    }

    /// Hands a mail over. Not to be dropped half-way: the server may have taken what nobody was told of.
    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Stopped> {
        let mut connection = self.connection().await?;
        match converse(&mut connection, message).await {
            Ok(()) => {
                self.keep(connection).await;
                Ok(())
            }
            Err(stopped) => {
                close(connection).await;
                Err(stopped)
            }
        }
    }

    async fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().await;
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        if idle.len() < CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }
}

/// From `MAIL FROM` to the end of the message.
async fn converse(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Stopped> {
    let (envelope, bytes) = (message.envelope(), message.formatted());
    let mut options = Vec::new();
    if envelope.to().iter().any(|to| !to.to_string().is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Stopped { step: Step::Recipient, cause: Cause::AsciiOnly });
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if !bytes.is_ascii() {
        if !connection.server_info().supports_feature(Extension::EightBitMime) {
            return Err(Stopped { step: Step::Message, cause: Cause::AsciiOnly });
        }
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    answered(Step::Session, connection.command(Mail::new(envelope.from().cloned(), options))).await?;
    for to in envelope.to() {
        answered(Step::Recipient, connection.command(Rcpt::new(to.clone(), Vec::new()))).await?;
    }
    answered(Step::Message, connection.command(Data)).await?;
    answered(Step::Message, connection.message(&bytes)).await.map(drop)
}

async fn answered<T>(step: Step, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Stopped> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Stopped { step, cause: Cause::Said(error) }),
        Err(_) => Err(Stopped { step, cause: Cause::Silent }),
    }
}

/// Says goodbye, for as long as a server may take to hear it.
async fn close(mut connection: AsyncSmtpConnection) {
    let _ = timeout(PATIENCE, connection.abort()).await;
}
