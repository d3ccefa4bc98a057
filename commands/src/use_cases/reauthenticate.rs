//! `reauthenticate`: a fresh proof of who is asking, inside a session: what dangerous settings need (sec.S7). The session goes on
//! under another token, and the old one is dead at once (sec.S6).
//!
//! The proof is a password; or a linked Google account that was gone through again for this session; or, where there is no password, the
//! second factor alone. Where the second factor is on, its code is needed beside the first two as well (sec.S5).
//!
//! What happens when the process dies: before the row is moved, nothing, except that a code from Google is used up and the owner goes
//! there again; after it, no client has the new token, and the owner signs in again.

use atelier_domain::{AccountId, Invalid, Reason, SessionId};
use atelier_vault::credential_rows::{passwords, sessions};
use atelier_vault::{SessionToken, Share};
use chrono::TimeDelta;

use super::second_factor;
use super::sign_in::overloaded;
use super::sign_in_elsewhere::GoogleProof;
use crate::command_path::CommandContext;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// How long a proof is fresh (sec.S7).
pub const FRESH: TimeDelta = TimeDelta::minutes(10);

/// Proves again who is asking.
#[derive(Clone)]
pub struct Reauthenticate {
    /// Who.
    pub account: AccountId,
    /// In which session.
    pub session: SessionId,
    /// The account's password, where it has one.
    pub password: Option<String>,
    /// Or what a browser came back from Google with.
    pub google: Option<GoogleProof>,
    /// A code of the second factor, where it is on; a recovery code will do.
    pub code: Option<String>,
}

impl Reauthenticate {
    /// Runs the use case: the session's new token.
    ///
    /// # Errors
    /// `invalid_credentials` for a wrong password, or a Google account that is not linked; `no_password` when the account has neither a
    /// password nor a second factor, and did not bring a proof from Google; `invalid_token` for a code of Google's return that does not
    /// count; `invalid_code`, also for a missing one; `rate_limited`; `not_found` when the session has ended.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<SessionToken, UseCaseError> {
        let Self { account, session, password, google, code } = self;
        let two_factor = second_factor::is_on(write, account).await?;
        match (password, google) {
            (Some(_), Some(_)) => {
                return Err(Refusal::value(
                    "google",
                    Invalid::new(Reason::ExactlyOne, "must be left out beside a password"),
                )
                .into());
            }
            (None, Some(google)) => google.proves(write, account, session).await?,
            // Nothing to type a password for: the second factor is all there is, and as much as a password would be.
            (_, None) if two_factor && !has_password(write, account).await? => {}
            (password, None) => {
                // A code is looked at only for somebody who knows the password.
                prove_password(write, account, "password", password.as_deref().unwrap_or_default()).await?;
            }
        }
        if two_factor {
            second_factor::verify(write, context, account, code.as_deref().unwrap_or_default()).await?;
        }
        renewed(write, account, session).await
    }
}

async fn has_password(write: &WriteSide, account: AccountId) -> Result<bool, UseCaseError> {
    Ok(passwords::get(&write.pool, account).await?.is_some())
}

/// The no to an account that proves itself otherwise.
fn no_password(field: &'static str) -> UseCaseError {
    let message =
        "This account has no password: prove who you are by Google, or set a password by the link of a reset mail.";
    Refusal::new(RefusalCode::NoPassword, message).about(field).into()
}

/// Gives a session another token and notes the proof; whoever calls this has just seen one.
pub(crate) async fn renewed(
    write: &WriteSide,
    account: AccountId,
    session: SessionId,
) -> Result<SessionToken, UseCaseError> {
    let token = SessionToken::generate(session, write.ports.random.as_ref());
    let digest = write.secrets.session(&token);
    if !sessions::renew(&write.pool, account, session, &digest, write.now()).await? {
        return Err(Refusal::new(RefusalCode::NotFound, "There is no such session.").into());
    }
    Ok(token)
}

/// The bucket of proofs inside an account's sessions: passwords and codes of the second factor alike.
#[must_use]
pub(crate) fn proof_bucket(write: &WriteSide, account: AccountId) -> Bucket {
    Bucket::of(write, Rule::ProofBySession, &[account.0.as_bytes()])
}

/// Checks the current password of somebody signed in, counted; its version.
///
/// # Errors
/// `no_password` when the account has none; `invalid_credentials` naming `field`; `rate_limited`.
pub(crate) async fn prove_password(
    write: &WriteSide,
    account: AccountId,
    field: &'static str,
    password: &str,
) -> Result<i64, UseCaseError> {
    // No secret to the account's own session: its settings say so.
    let stored = passwords::get(&write.pool, account).await?.ok_or_else(|| no_password(field))?;
    let counted = throttle::count(write, vec![proof_bucket(write, account)], Some(account)).await?;
    let wrong = || {
        let message = "The password is wrong.";
        UseCaseError::from(Refusal::coded(RefusalCode::InvalidCredentials, field, Reason::Wrong, message))
    };
    match write.passwords.shared_by(Share::Known).verify(password, &stored).await {
        Ok(true) => {}
        Ok(false) => return Err(wrong()),
        Err(error) => {
            counted.take_back(write, false).await?;
            return Err(overloaded(error));
        }
    }
    counted.take_back(write, true).await?;
    Ok(stored.version)
}
