//! The mails about an account's security (sec.S7): never switched off, exactly one for each event by its message id.

use atelier_domain::account::{Account, AccountEvent};
use atelier_domain::{AccountId, decode_event};
use atelier_vault::MailToken;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;

use super::letters::Letter;
use super::{Owner, opened, send};
use crate::event_store::{PAGE, StreamId};
use crate::notice_topic::NoticeTopic;
use crate::process::work::WorkError;
use crate::write_side::WriteSide;

/// How an instant reads in a mail: UTC, to the minute.
const INSTANT: &str = "%Y-%m-%d %H:%M UTC";

/// Tells an owner what was done to the account. Nobody is told whose address the account only pretends to have (sec.S4).
pub(in crate::process) async fn security_notice(
    write: &WriteSide,
    account: AccountId,
    topic: NoticeTopic,
    at: DateTime<Utc>,
    id: &str,
) -> Result<(), WorkError> {
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    if !owner.state.address_claimed() {
        return Ok(());
    }
    let at = at.format(INSTANT).to_string();
    let keys = match topic {
        NoticeTopic::PasswordChanged => Some(owner.api_keys(write).await?),
        _ => None,
    };
    let letter = Letter::Security { topic: topic.as_str(), at, keys, app: write.public_url.clone() };
    send(write, &owner, id, &letter, None).await
}

/// Tells an owner that staff were asked to turn the second factor off, with a link that says no until it is due (U36). A redelivery
/// carries a fresh link under the same message id.
pub(in crate::process) async fn two_factor_reset(
    write: &WriteSide,
    account: AccountId,
    due_at: DateTime<Utc>,
    id: &str,
) -> Result<(), WorkError> {
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    if !owner.state.address_claimed() || owner.state.two_factor_reset().is_none() {
        return Ok(());
    }
    let token = MailToken::generate(write.ports.random.as_ref());
    let digest = write.secrets.mail(&token);
    mail_tokens::insert(
        &write.pool,
        &digest,
        account,
        MailPurpose::KeepTwoFactor,
        owner.mailed_to,
        write.now(),
        due_at,
    )
    .await
    .map_err(|error| WorkError::Command(error.to_string()))?;
    let link = format!("{}/keep-two-factor?token={}", write.public_url, token.expose());
    let letter = Letter::TwoFactorReset { due: due_at.format(INSTANT).to_string(), link };
    send(write, &owner, id, &letter, None).await
}

/// Tells the address that an account had until its event `before` that it has another one now (A13).
pub(in crate::process) async fn former_address(
    write: &WriteSide,
    account: AccountId,
    before: i64,
    at: DateTime<Utc>,
    id: &str,
) -> Result<(), WorkError> {
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    let Some(former) = address_before(write, account, before).await? else { return Ok(()) };
    if former == owner.address {
        return Ok(());
    }
    let support = write.access.support_url.as_ref().unwrap_or(&write.public_url);
    let letter = Letter::FormerAddress { at: at.format(INSTANT).to_string(), app: support.clone() };
    send(write, &Owner { address: former, ..owner }, id, &letter, None).await
}

/// The address that was the account's own before one of its events; the state knows the last one only. One that was never its own is
/// somebody else's, who has nothing to do with it.
async fn address_before(write: &WriteSide, account: AccountId, before: i64) -> Result<Option<String>, WorkError> {
    let failed = |error: &dyn std::fmt::Display| WorkError::Command(error.to_string());
    let stream = StreamId { aggregate_type: Account::TYPE, aggregate_id: account.to_string() };
    let (mut named, mut own, mut after) = (None, false, 0);
    while after < before - 1 {
        let page = write.path.store().page(&stream, after, PAGE).await.map_err(|error| failed(&error))?;
        let Some(last) = page.last().map(|event| event.sequence) else { break };
        for event in page.into_iter().take_while(|event| event.sequence < before) {
            if !matches!(event.event_type.as_str(), "AccountOpened" | "EmailVerified" | "EmailChanged") {
                continue;
            }
            let decoded = decode_event(Account::TYPE, &event.event_type, &event.event_version, &event.payload);
            match decoded.map_err(|error| failed(&error))? {
                AccountEvent::AccountOpened { email, address_claimed, .. } => {
                    (named, own) = (email.sealed().cloned(), address_claimed);
                }
                AccountEvent::EmailChanged { email } => (named, own) = (email.sealed().cloned(), true),
                AccountEvent::EmailVerified {} => own = true,
                _ => {}
            }
        }
        after = last;
    }
    let former = named.filter(|_| own);
    match former {
        Some(sealed) => opened(write, account, &sealed).await,
        None => Ok(None),
    }
}
