//! The mails by which people get in: the link that verifies an address, the word to somebody who has an account already, and the link for
//! a new password.

use atelier_domain::AccountId;
use atelier_domain::account::Status;
use atelier_vault::MailToken;
use atelier_vault::credential_rows::address_mails;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use chrono::TimeDelta;

use super::letters::Letter;
use super::{Owner, send};
use crate::process::work::WorkError;
use crate::refusal::UseCaseError;
use crate::use_cases::{address_claims, address_proof};
use crate::write_side::WriteSide;

/// How long a verification link counts (U26).
const LINK_LIFE: TimeDelta = TimeDelta::hours(24);
/// How long a reset link counts (sec.S5).
const RESET_LIFE: TimeDelta = TimeDelta::minutes(30);

/// How often a link is made anew because the address changed meanwhile, before the mail is put off to a later attempt.
const CHANGES: usize = 3;

/// Sends the link that verifies an account's address, or the word that the address belongs to another account already, so that a sign-up's
/// answer need not tell (sec.S4). Mails to one address take turns; one whose turn does not come within the hour is not sent. A
/// redelivery carries a fresh token under the same message id.
pub(in crate::process) async fn verification(write: &WriteSide, account: AccountId, id: &str) -> Result<(), WorkError> {
    let failed = |error: UseCaseError| WorkError::Command(error.to_string());
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    if owner.state.status() != Status::Open || owner.state.email_verified() {
        return Ok(());
    }
    let Some(address) = address_claims::current(write, account, &owner.state).await.map_err(failed)? else {
        return Ok(());
    };
    // One reading of the clock for both: one that was set back in between would put off a mail whose turn it is.
    let now = write.now();
    let turn = address_mails::turn(&write.pool, id, &address, now).await;
    match turn.map_err(|error| WorkError::Command(error.to_string()))? {
        Some(at) if now < at => return Err(WorkError::NotBefore(at)),
        Some(_) => {}
        None => {
            metrics::counter!("atelier_mails_not_sent_total", "reason" => "too many to one address").increment(1);
            return Ok(());
        }
    }
    if address_proof::proven_by(write, &address).await.map_err(failed)?.is_some() {
        return already_registered(write, account, id).await;
    }
    let Some((owner, token)) = linked(write, account, MailPurpose::VerifyEmail, LINK_LIFE).await? else {
        return Ok(());
    };
    let link = write.page(&format!("/verify-email?token={}", token.expose()));
    send(write, &owner, id, &Letter::Verification { link }, None).await
}

/// Tells an address's owner that somebody tried to sign up with it.
pub(in crate::process) async fn already_registered(
    write: &WriteSide,
    account: AccountId,
    id: &str,
) -> Result<(), WorkError> {
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    send(write, &owner, id, &Letter::AlreadyRegistered { app: write.public_url.clone() }, None).await
}

/// Sends the link for a new password. A redelivery carries a fresh token under the same message id.
pub(in crate::process) async fn password_reset(
    write: &WriteSide,
    account: AccountId,
    id: &str,
) -> Result<(), WorkError> {
    let Some((owner, token)) = linked(write, account, MailPurpose::ResetPassword, RESET_LIFE).await? else {
        return Ok(());
    };
    let link = write.page(&format!("/reset-password?token={}", token.expose()));
    let has_password = owner.state.has_password();
    let keys = owner.api_keys(write).await?;
    send(write, &owner, id, &Letter::PasswordReset { has_password, keys, link }, None).await
}

/// Makes a token for the address that the account has now; `None` when it has none, or is to get no such mail. The address is read
/// again once the token counts: a change of address voids the tokens made before it, and one made after it must not go to the former
/// address. Then a token is made for the new one.
async fn linked(
    write: &WriteSide,
    account: AccountId,
    purpose: MailPurpose,
    life: TimeDelta,
) -> Result<Option<(Owner, MailToken)>, WorkError> {
    for _ in 0..CHANGES {
        let Some(owner) = Owner::find(write, account).await? else { return Ok(None) };
        if purpose == MailPurpose::ResetPassword && owner.state.status() != Status::Open {
            return Ok(None);
        }
        let (token, now) = (MailToken::generate(write.ports.random.as_ref()), write.now());
        let digest = write.secrets.mail(&token);
        mail_tokens::insert(&write.pool, &digest, account, purpose, owner.mailed_to, now, now + life)
            .await
            .map_err(|error| WorkError::Command(error.to_string()))?;
        match Owner::find(write, account).await? {
            None => return Ok(None),
            Some(after) if after.state.email() == owner.state.email() => return Ok(Some((owner, token))),
            Some(_) => {}
        }
    }
    Err(WorkError::Command("the address was changed meanwhile".into()))
}
