//! The look-ups before the mails by which people get back in: an address is a keyed digest until its account is found.

use atelier_domain::account::{Account, AccountCommand, Status};
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose};
use atelier_vault::credential_rows::unproven_addresses;
use chrono::TimeDelta;

use super::work::WorkError;
use super::{AddressDigest, SignUpDigest, Work, enqueue};
use crate::command_path::CommandContext;
use crate::idempotency;
use crate::use_cases::address_proof;
use crate::write_side::{WriteSide, account_target};

/// The least time between two verification mails, the first one included.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

fn failed(error: impl std::fmt::Display) -> WorkError {
    WorkError::Command(error.to_string())
}

/// Asks for another verification mail, if the address waits for one.
pub(super) async fn resend_verification(
    write: &WriteSide,
    to: &AddressDigest,
    sign_up: Option<&SignUpDigest>,
    id: &str,
) -> Result<(), WorkError> {
    let Some(address) = to.index() else { return Ok(()) };
    let token = sign_up.and_then(SignUpDigest::digest);
    let newest = unproven_addresses::of(&write.pool, &address, token.as_ref(), 1).await.map_err(failed)?;
    let Some(account) = newest.first().map(|unproven| unproven.account) else { return Ok(()) };
    let state = write.path.load::<Account>(&account.to_string()).await.map_err(failed)?.state;
    let since = write.now() - PAUSE;
    let lately = mail_tokens::made_since(&write.pool, account, MailPurpose::VerifyEmail, since).await;
    if state.status() != Status::Open || state.email_verified() || lately.map_err(failed)? {
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
    let Some(address) = to.index() else { return Ok(()) };
    let Some(account) = address_proof::proven_by(write, &address).await.map_err(failed)? else { return Ok(()) };
    let meaning = serde_json::json!(["requestPasswordReset", id]);
    let sent = idempotency::sent(Some(id)).map_err(failed)?;
    let key = idempotency::key(write, account, idempotency::START_RESET, sent, &meaning, account.to_string());
    let command = |_| AccountCommand::RequestPasswordReset;
    let recorded = write.path.execute::<Account>(&account_target(account), context, key.as_ref(), command).await;
    recorded.map_err(failed)?;
    enqueue(&write.pool, &format!("{id}:mail"), &Work::SendPasswordResetMail { account }).await.map_err(failed)
}
