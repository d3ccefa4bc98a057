//! The mails by which people get back in, and the look-ups before them: an address is a keyed digest until its account is found.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountCommand, Status};
use atelier_vault::MailToken;
use atelier_vault::credential_rows::claims;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use chrono::TimeDelta;

use super::mails::{address, send};
use super::work::WorkError;
use super::{AddressDigest, Work, enqueue};
use crate::command_path::CommandContext;
use crate::idempotency;
use crate::write_side::{WriteSide, account_target};

/// How long a reset link counts (sec.S5).
const LINK_LIFE: TimeDelta = TimeDelta::minutes(30);
/// The least time between two verification mails, the first one included.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

fn failed(error: impl std::fmt::Display) -> WorkError {
    WorkError::Command(error.to_string())
}

/// The open account whose address this is, and no other's: one that only said so has no claim.
async fn holder(write: &WriteSide, address: &AddressDigest) -> Result<Option<(AccountId, Account)>, WorkError> {
    let Some(digest) = address.index() else { return Ok(None) };
    let Some(claim) = claims::find(&write.pool, &digest).await.map_err(failed)? else { return Ok(None) };
    let state = write.path.load::<Account>(&claim.account.to_string()).await.map_err(failed)?.state;
    Ok((state.status() == Status::Open && state.address_claimed()).then_some((claim.account, state)))
}

/// Asks for another verification mail, if the address waits for one.
pub(super) async fn resend_verification(write: &WriteSide, to: &AddressDigest, id: &str) -> Result<(), WorkError> {
    let Some((account, state)) = holder(write, to).await? else { return Ok(()) };
    let since = write.now() - PAUSE;
    let lately = mail_tokens::made_since(&write.pool, account, MailPurpose::VerifyEmail, since).await;
    if state.email_verified() || lately.map_err(failed)? {
        return Ok(());
    }
    enqueue(&write.pool, &format!("{id}:mail"), &Work::SendVerificationMail { account }).await.map_err(failed)
}

/// Records that a reset was asked for, once for this piece of work, and asks for its mail.
pub(super) async fn start_password_reset(
    write: &WriteSide,
    context: &CommandContext,
    to: &AddressDigest,
    id: &str,
) -> Result<(), WorkError> {
    let Some((account, _)) = holder(write, to).await? else { return Ok(()) };
    let meaning = serde_json::json!(["requestPasswordReset", id]);
    let key = idempotency::key(write, account, Some(id), &meaning, account.to_string()).map_err(failed)?;
    let command = |_| AccountCommand::RequestPasswordReset;
    let recorded = write.path.execute::<Account>(&account_target(account), context, key.as_ref(), command).await;
    recorded.map_err(failed)?;
    enqueue(&write.pool, &format!("{id}:mail"), &Work::SendPasswordResetMail { account }).await.map_err(failed)
}

/// Sends the link for a new password. A redelivery carries a fresh token under the same message id.
pub(super) async fn password_reset(write: &WriteSide, account: AccountId, id: &str) -> Result<(), WorkError> {
    let Some(to) = address(write, account).await? else { return Ok(()) };
    let state = write.path.load::<Account>(&account.to_string()).await.map_err(failed)?.state;
    if state.status() != Status::Open {
        return Ok(());
    }
    let (token, now) = (MailToken::generate(write.ports.random.as_ref()), write.now());
    let digest = write.secrets.mail(&token);
    let purpose = MailPurpose::ResetPassword;
    mail_tokens::insert(&write.pool, &digest, account, purpose, now, now + LINK_LIFE).await.map_err(failed)?;
    let link = write.page(&format!("/reset-password?token={}", token.expose()));
    let (subject, beginning) = if state.has_password() {
        ("Reset your password", "Open this link to choose a new password; it works once, for 30 minutes:")
    } else {
        (
            "Sign in with Google",
            "Your account has no password: you sign in with Google. If you would like a password as well, open this link; it works \
             once, for 30 minutes:",
        )
    };
    let text = format!(
        "{beginning}\n\n{link}\n\nIf you did not ask for this, ignore this mail: nothing changes. We never ask for your password by \
         mail.\n"
    );
    send(write, id, to, subject, text).await
}
