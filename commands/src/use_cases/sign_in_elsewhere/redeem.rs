//! Redeeming the one-time code that a browser came back to its frontend with: to sign in, to link an identity, or as a fresh proof.

use atelier_domain::account::IdentityProvider;
use atelier_domain::{AccountId, Invalid, Reason, SessionId};
use atelier_vault::credential_rows::{identities, sign_in_codes};
use atelier_vault::{Passing, PassingToken};
use serde::{Deserialize, Serialize};

use super::frontend::{challenge_of, is_verifier};
use super::{Identified, Purpose, google, let_in, not_valid, still_signed_in};
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::origin::Origin;
use crate::ports::ProvenIdentity;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::use_cases::within_session::link_identity;
use crate::write_side::WriteSide;

/// What a client redeems.
#[derive(Clone)]
pub struct GoogleProof {
    /// The code of the address that the browser came back with.
    pub code: String,
    /// The verifier of the challenge that the client began with (RFC 7636).
    pub verifier: String,
}

/// What is kept under a code, sealed for it.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) purpose: Purpose,
    pub(super) challenge: String,
    pub(super) proven: ProvenIdentity,
}

impl GoogleProof {
    /// Uses the code up and returns the proven identity, if the code was issued for this purpose and for the challenge of this verifier. A
    /// code that is presented with another verifier, or for another purpose, is used up as well: it may have leaked.
    ///
    /// # Errors
    /// `invalid_field` naming `field` for what is no verifier; `invalid_token` for anything else.
    async fn redeem(
        &self,
        write: &WriteSide,
        purpose: Purpose,
        field: &'static str,
    ) -> Result<ProvenIdentity, UseCaseError> {
        google(write)?;
        if !is_verifier(&self.verifier) {
            let says = "must have 43 to 128 of the characters that RFC 7636 allows";
            return Err(Refusal::value(field, Invalid::new(Reason::Format, says)).into());
        }
        let code = PassingToken::parse(Passing::Code, &self.code).map_err(|_| not_valid())?;
        let kept = sign_in_codes::consume(&write.pool, &write.secrets.passing(&code), write.now()).await?;
        let kept = kept.and_then(|sealed| write.secrets.open_for(&code, &sealed)).ok_or_else(not_valid)?;
        let kept: Kept = serde_json::from_str(&kept).map_err(|_| not_valid())?;
        if kept.challenge != challenge_of(&self.verifier) || kept.purpose != purpose {
            return Err(not_valid());
        }
        Ok(kept.proven)
    }

    /// Checks that it proves the owner of an account: the identity is linked to the account, and this session asked for the proof.
    ///
    /// # Errors
    /// As [`Self::redeem`]; `invalid_credentials` when the identity is not this account's.
    pub(in crate::use_cases) async fn proves(
        &self,
        write: &WriteSide,
        account: AccountId,
        session: SessionId,
    ) -> Result<(), UseCaseError> {
        let purpose = Purpose::Reauthenticate { account, session };
        let proven = self.redeem(write, purpose, "google.code_verifier").await?;
        let identity = write.blind_index.identity(google(write)?.issuer(), &proven.subject);
        let held = identities::find(&write.pool, IdentityProvider::Google, &identity).await?;
        if held.is_some_and(|held| held.active && held.account == account) {
            return Ok(());
        }
        let message = "This Google account is not linked to your account.";
        Err(Refusal::coded(RefusalCode::InvalidCredentials, "google", Reason::Wrong, message).into())
    }
}

/// Signs in, or leads to a sign-up, with what a browser came back with.
#[derive(Clone)]
pub struct CompleteGoogleSignIn {
    /// The code and its verifier.
    pub proof: GoogleProof,
    /// From where.
    pub origin: Origin,
}

impl CompleteGoogleSignIn {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_field` for the verifier; `invalid_token` for a code that is wrong, used, too late, or another client's;
    /// `not_possible_now` when the identity is just changing hands, or has no address.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Identified, UseCaseError> {
        let proven = self.proof.redeem(write, Purpose::SignIn, "code_verifier").await?;
        let_in(write, context, proven, self.origin).await
    }
}

/// Links the identity that a browser came back with to the account whose session asked for it.
#[derive(Clone)]
pub struct CompleteGoogleLink {
    /// Whose.
    pub account: AccountId,
    /// The session that asks; it began the link, and showed a fresh proof then (sec.S7).
    pub session: SessionId,
    /// The code and its verifier.
    pub proof: GoogleProof,
}

impl CompleteGoogleLink {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `invalid_field` for the verifier; `invalid_token` for a code that is wrong, used, too late, or another session's;
    /// `not_possible_now` when the identity is linked to an account already; `limit_reached` when the account has as many as it may.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        let Self { account, session, proof } = self;
        let proven = proof.redeem(write, Purpose::Link { account, session }, "code_verifier").await?;
        still_signed_in(write, account, session).await?;
        link_identity(write, context, (account, session), &proven).await
    }
}
