//! The mails by which people get in: the link that verifies an address, the word to somebody who has an account already, and the link for
//! a new password.

use atelier_domain::AccountId;
use atelier_domain::account::Status;
use atelier_vault::MailToken;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use chrono::TimeDelta;

use super::letters::Letter;
use super::{Owner, send};
use crate::process::work::WorkError;
use crate::write_side::WriteSide;

/// How long a verification link counts (U26).
const LINK_LIFE: TimeDelta = TimeDelta::hours(24);
/// How long a reset link counts (sec.S5).
const RESET_LIFE: TimeDelta = TimeDelta::minutes(30);

/// Sends the link that verifies an address. A redelivery carries a fresh token under the same message id.
pub(in crate::process) async fn verification(write: &WriteSide, account: AccountId, id: &str) -> Result<(), WorkError> {
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    let token = MailToken::generate(write.ports.random.as_ref());
    let now = write.now();
    let digest = write.secrets.mail(&token);
    mail_tokens::insert(&write.pool, &digest, account, MailPurpose::VerifyEmail, owner.mailed_to, now, now + LINK_LIFE)
        .await
        .map_err(|error| WorkError::Command(error.to_string()))?;
    still_theirs(write, &owner).await?;
    let link = write.page(&format!("/verify-email?token={}", token.expose()));
    send(write, &owner, id, &Letter::Verification { link }, None).await
}

/// Tells an address's owner that somebody tried to sign up with it, so that the sign-up's answer need not tell (sec.S4).
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
    let Some(owner) = Owner::find(write, account).await? else { return Ok(()) };
    if owner.state.status() != Status::Open {
        return Ok(());
    }
    let (token, now) = (MailToken::generate(write.ports.random.as_ref()), write.now());
    let digest = write.secrets.mail(&token);
    mail_tokens::insert(
        &write.pool,
        &digest,
        account,
        MailPurpose::ResetPassword,
        owner.mailed_to,
        now,
        now + RESET_LIFE,
    )
    .await
    .map_err(|error| WorkError::Command(error.to_string()))?;
    still_theirs(write, &owner).await?;
    let link = write.page(&format!("/reset-password?token={}", token.expose()));
    let has_password = owner.state.has_password();
    send(write, &owner, id, &Letter::PasswordReset { has_password, link }, None).await
}

/// Looks again once the link counts: whoever changes an address voids the links made before, and this one must not go to the former
/// one if it was made after. Then it is done again, with another link for another address.
async fn still_theirs(write: &WriteSide, owner: &Owner) -> Result<(), WorkError> {
    match Owner::find(write, owner.account).await? {
        Some(now) if now.state.email() == owner.state.email() => Ok(()),
        Some(_) | None => Err(WorkError::Command("the address was changed meanwhile".into())),
    }
}
