//! `completeSignIn`: the second factor's code, after the first factor was right (V11). Whoever proves a first factor comes through
//! here, by whatever way: nothing skips the second (sec.S5).
//!
//! What happens when the process dies: a challenge that nobody saw expires; a code that was used up is gone, and the next one works.

use atelier_domain::Reason;
use atelier_vault::credential_rows::challenges::{self, Challenged};
use atelier_vault::{Passing, PassingToken};
use chrono::{DateTime, Utc};

use super::open_session::{OpenSession, Proof, SignedIn};
use super::second_factor;
use crate::command_path::CommandContext;
use crate::origin::Origin;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// What a right first factor leads to.
#[derive(Debug, Clone)]
pub enum Entrance {
    /// A session.
    Open(Box<SignedIn>),
    /// A code is missing.
    CodeNeeded(Challenge),
}

/// What the client presents with the code.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Shown once.
    pub token: PassingToken,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
}

/// A session, or a challenge when the account's second factor is on.
pub(super) async fn enter(
    opening: OpenSession,
    write: &WriteSide,
    context: &CommandContext,
) -> Result<Entrance, UseCaseError> {
    if !second_factor::is_on(write, opening.account).await? {
        return Ok(Entrance::Open(Box::new(opening.run(write, context).await?)));
    }
    let token = PassingToken::generate(Passing::Challenge, write.ports.random.as_ref());
    let password_version = match opening.proof {
        Proof::Password(version) => Some(version),
        Proof::Identity => None,
    };
    let challenged = Challenged { account: opening.account, password_version };
    let digest = write.secrets.passing(&token);
    let expires_at = challenges::insert(&write.pool, &digest, challenged, write.now()).await?;
    Ok(Entrance::CodeNeeded(Challenge { token, expires_at }))
}

/// Brings the code.
#[derive(Clone)]
pub struct CompleteSignIn {
    /// The challenge of the first factor.
    pub challenge: String,
    /// A code of the authenticator, or a recovery code.
    pub code: String,
    /// From where.
    pub origin: Origin,
}

impl CompleteSignIn {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_token` when the challenge is wrong, used, expired or tried too often; `invalid_code`; `rate_limited` while the
    /// authenticator is locked; `invalid_credentials` when the password was changed meanwhile.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<SignedIn, UseCaseError> {
        let refused = || {
            Refusal::coded(
                RefusalCode::InvalidToken,
                "challenge",
                Reason::Wrong,
                "This sign-in is not valid any more; begin again.",
            )
        };
        let token = PassingToken::parse(Passing::Challenge, &self.challenge).map_err(|_| refused())?;
        let digest = write.secrets.passing(&token);
        let challenged = challenges::take_try(&write.pool, &digest, write.now()).await?.ok_or_else(refused)?;
        let Challenged { account, password_version } = challenged;
        // Turned off meanwhile, by staff for one: the first factor was right, and is enough now.
        if second_factor::is_on(write, account).await? {
            second_factor::verify(write, context, account, &self.code).await?;
        }
        if !challenges::consume(&write.pool, &digest).await? {
            return Err(refused().into());
        }
        let proof = password_version.map_or(Proof::Identity, Proof::Password);
        OpenSession { account, proof, origin: self.origin }.run(write, context).await
    }
}
