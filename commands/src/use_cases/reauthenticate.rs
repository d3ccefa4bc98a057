//! `reauthenticate`: a fresh proof of who is asking, inside a session: what dangerous settings need (sec.S7). The session goes on
//! under another token, and the old one is dead at once (sec.S6).
//!
//! What happens when the process dies: before the row is moved, nothing; after it, nobody has the new token, and its owner signs in.

use atelier_domain::{AccountId, SessionId};
use atelier_vault::SessionToken;
use atelier_vault::credential_rows::{passwords, sessions};
use chrono::TimeDelta;

use super::second_factor;
use super::sign_in::overloaded;
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
    /// The account's password.
    pub password: String,
    /// A code of the second factor, where it is on; a recovery code will do.
    pub code: Option<String>,
}

impl Reauthenticate {
    /// Runs the use case: the session's new token.
    ///
    /// # Errors
    /// `invalid_credentials` for a wrong password; `invalid_code`, also for a missing one; `rate_limited`; `not_found` when the
    /// session has ended.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<SessionToken, UseCaseError> {
        let Self { account, session, password, code } = self;
        prove_password(write, account, "password", &password).await?;
        if second_factor::is_on(write, account).await? {
            second_factor::verify(write, context, account, code.as_deref().unwrap_or_default()).await?;
        }
        renewed(write, account, session).await
    }
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
pub(crate) async fn prove_password(
    write: &WriteSide,
    account: AccountId,
    field: &'static str,
    password: &str,
) -> Result<i64, UseCaseError> {
    let counted = throttle::count(write, vec![proof_bucket(write, account)], Some(account)).await?;
    let wrong = || {
        let refusal = Refusal::new(RefusalCode::InvalidCredentials, "The password is wrong.");
        UseCaseError::from(Refusal { field: Some(field), ..refusal })
    };
    let Some(stored) = passwords::get(&write.pool, account).await? else { return Err(wrong()) };
    match write.passwords.verify(password, &stored.phc).await {
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
