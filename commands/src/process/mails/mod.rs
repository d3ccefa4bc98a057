//! The mails of the outbox: rendered at delivery, in the owner's language, so that no address and no token ever waits in a row.
//!
//! A process that dies between handing a mail over and recording so hands it over again, under the same message id.

pub(super) mod access;
pub(super) mod data_export;
pub(crate) mod farewell;
pub(super) mod generation;
mod letters;
pub(super) mod security;

use atelier_domain::account::{Account, Channel, Language, NoticeKind};
use atelier_domain::{AccountId, Sealed};
use atelier_vault::Opened;
use atelier_vault::credential_rows::mail_tokens::MailedTo;

use self::letters::Letter;
use super::work::WorkError;
use crate::ports::{GatewayError, Mail};
use crate::write_side::WriteSide;

/// Somebody to write to: an account, and its address, opened for this delivery.
struct Owner {
    account: AccountId,
    state: Account,
    address: String,
    mailed_to: MailedTo,
}

impl Owner {
    /// The account as it is now; `None` once its address is erased.
    async fn find(write: &WriteSide, account: AccountId) -> Result<Option<Self>, WorkError> {
        let loaded = write.path.load::<Account>(&account.to_string()).await;
        let state = loaded.map_err(|error| WorkError::Command(error.to_string()))?.state;
        let Some(sealed) = state.email() else { return Ok(None) };
        let (address, mailed_to) = (opened(write, account, sealed).await?, MailedTo::of(sealed));
        Ok(address.map(|address| Self { account, state, address, mailed_to }))
    }

    /// What its owner calls the API keys that still work.
    async fn api_keys(&self, write: &WriteSide) -> Result<Vec<String>, WorkError> {
        let mut labels = Vec::new();
        for key in self.state.api_keys().filter(|key| key.expires_at.is_none_or(|end| end > write.now())) {
            let Some(sealed) = &key.label else { continue };
            match write.vault.open(self.account, "label", sealed).await {
                Ok(Opened::Text(label)) => labels.push(label),
                Ok(Opened::Erased) => {}
                Err(error) => return Err(WorkError::Command(error.to_string())),
            }
        }
        Ok(labels)
    }

    /// Whether mails of this kind are wanted.
    fn wants(&self, kind: NoticeKind) -> bool {
        self.state.notifications().wants(kind, Channel::Mail)
    }
}

/// An address of the account, opened; `None` once it is erased.
async fn opened(write: &WriteSide, account: AccountId, sealed: &Sealed) -> Result<Option<String>, WorkError> {
    match write.vault.open(account, "email", sealed).await {
        Ok(Opened::Text(address)) => Ok(Some(address)),
        Ok(Opened::Erased) => Ok(None),
        Err(error) => Err(WorkError::Command(error.to_string())),
    }
}

/// Writes a letter to an owner out and hands it over. A mail of a kind that can be switched carries the link that switches it off (V16).
async fn send(
    write: &WriteSide,
    owner: &Owner,
    id: &str,
    letter: &Letter,
    kind: Option<NoticeKind>,
) -> Result<(), WorkError> {
    let unsubscribe = kind.map(|kind| {
        format!("{}/unsubscribe?token={}", write.public_url, write.secrets.unsubscribe_token(owner.account, kind))
    });
    let mail = written(write, owner.account, owner.state.language(), &owner.address, id, letter, unsubscribe)?;
    Ok(hand_over(write, mail).await?)
}

/// Hands a mail over. A recipient that is refused for good ends it without a record: whoever signs up chooses the address, and must not be
/// able to make a node look degraded. It is counted, so that a mail server that refuses everybody shows.
pub(super) async fn hand_over(write: &WriteSide, mail: Mail) -> Result<(), GatewayError> {
    match write.ports.mailer.send(mail).await {
        Err(GatewayError::Recipient(said)) => {
            metrics::counter!("atelier_mail_recipients_refused_total").increment(1);
            tracing::warn!(said, "a mail's recipient is refused for good");
            Ok(())
        }
        answered => answered,
    }
}

/// A letter as a mail.
fn written(
    write: &WriteSide,
    account: AccountId,
    language: Language,
    to: &str,
    id: &str,
    letter: &Letter,
    unsubscribe: Option<String>,
) -> Result<Mail, GatewayError> {
    // A mistake in a template, which a test finds: it stays on the list, and shows.
    let mistaken =
        |error: minijinja::Error| GatewayError::Unavailable(format!("a mail cannot be written: {}", error.kind()));
    let texts = letters::render(language, letter, write.access.support_url.as_deref(), unsubscribe.as_deref())
        .map_err(mistaken)?;
    Ok(Mail {
        message_id: id.to_owned(),
        account,
        last: false,
        to: to.to_owned(),
        subject: texts.subject,
        text: texts.text,
        html: texts.html,
        unsubscribe,
        date: write.now(),
    })
}
