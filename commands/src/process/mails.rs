//! The mails of the outbox: rendered at delivery, so that no address and no token ever waits in a row.

use atelier_domain::account::Account;
use atelier_domain::generation::{Generation, Status};
use atelier_domain::{AccountId, GenerationId};
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use atelier_vault::{MailToken, Opened};
use chrono::TimeDelta;

use super::work::WorkError;
use crate::ports::Mail;
use crate::write_side::WriteSide;

/// How long a verification link counts (U26).
const LINK_LIFE: TimeDelta = TimeDelta::hours(24);

/// Sends the link that verifies an address. A redelivery carries a fresh token under the same message id.
pub(super) async fn verification(write: &WriteSide, account: AccountId, id: &str) -> Result<(), WorkError> {
    let Some(to) = address(write, account).await? else { return Ok(()) };
    let token = MailToken::generate(write.ports.random.as_ref());
    let now = write.now();
    let digest = write.secrets.mail(&token);
    mail_tokens::insert(&write.pool, &digest, account, MailPurpose::VerifyEmail, now, now + LINK_LIFE)
        .await
        .map_err(|error| WorkError::Command(error.to_string()))?;
    let link = write.page(&format!("/verify-email?token={}", token.expose()));
    let text = format!(
        "Welcome to atelier.\n\nOpen this link to verify your email address; it works for 24 hours:\n\n{link}\n\n\
         If you did not sign up, ignore this mail. We never ask for your password by mail.\n"
    );
    send(write, id, to, "Verify your email address", text).await
}

/// Tells an address's owner that somebody tried to sign up with it, so that the sign-up's answer need not tell (sec.S4).
pub(super) async fn already_registered(write: &WriteSide, account: AccountId, id: &str) -> Result<(), WorkError> {
    let Some(to) = address(write, account).await? else { return Ok(()) };
    let text = format!(
        "Somebody, perhaps you, tried to sign up at atelier with this address. You already have an account: sign in at {}, \
         and if you have forgotten the password, ask for a new one there.\n\n\
         If it was not you, there is nothing to do.\n",
        write.public_url
    );
    send(write, id, to, "You already have an account", text).await
}

/// Tells an owner that a generation has ended (A33). The message's id is the job's own, so there is one notice, whatever asks for it.
pub(super) async fn generation_notice(
    write: &WriteSide,
    account: AccountId,
    generation: GenerationId,
) -> Result<(), WorkError> {
    let job = write.path.load::<Generation>(&generation.to_string()).await;
    let job = job.map_err(|error| WorkError::Command(error.to_string()))?.state;
    let (subject, what) = match job.status() {
        // Removed since: nothing is left to look at.
        _ if job.deleted() => return Ok(()),
        Status::Succeeded => ("Your generation is ready", "is ready"),
        Status::Failed => ("Your generation failed", "failed; nothing was charged"),
        Status::New | Status::Abandoned | Status::Queued | Status::Running | Status::Cancelled => return Ok(()),
    };
    let Some(to) = address(write, account).await? else { return Ok(()) };
    let text = format!("Your generation gen_{} {what}.\n\nSee it at {}.\n", generation.0.simple(), write.public_url);
    send(write, &format!("generation-notice-{generation}"), to, subject, text).await
}

pub(super) async fn send(
    write: &WriteSide,
    id: &str,
    to: String,
    subject: &str,
    text: String,
) -> Result<(), WorkError> {
    let mail = Mail { message_id: id.to_owned(), to, subject: subject.to_owned(), text, date: write.now() };
    Ok(write.ports.mailer.send(mail).await?)
}

/// The account's address, opened for this delivery; `None` once it is erased.
pub(super) async fn address(write: &WriteSide, account: AccountId) -> Result<Option<String>, WorkError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await;
    let owner = loaded.map_err(|error| WorkError::Command(error.to_string()))?.state;
    let Some(sealed) = owner.email() else { return Ok(None) };
    match write.vault.open(account, "email", sealed).await {
        Ok(Opened::Text(address)) => Ok(Some(address)),
        Ok(Opened::Erased) => Ok(None),
        Err(error) => Err(WorkError::Command(error.to_string())),
    }
}
