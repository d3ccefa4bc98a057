//! The second factor: turning it on and off, its recovery codes, and the code that completes a sign-in.

use async_graphql::{Context, InputObject, Object, Result};
use atelier_commands::use_cases::{
    CompleteSignIn, ConfirmTwoFactor, DisableTwoFactor, EnrolTwoFactor, KeepTwoFactor, NewRecoveryCodes,
    RenewRecoveryCodes,
};

use super::sessions::{SignInPayload, opened};
use crate::Sides;
use crate::caller::{command_context, freshly_proven, origin, signed_in};
use crate::once::{Done, Once};
use crate::payload::{outcome, payload};

/// The mutations of this room.
#[derive(Default)]
pub struct TwoFactorMutation;

payload! {
    /// A seed for an authenticator. Nothing is on before `confirmTwoFactor`, within the hour.
    EnrolTwoFactorPayload {
        /// The seed in base32, to type; shown once.
        secret: String,
        /// The same as an `otpauth://` address, to show as a QR code; shown once.
        otpauth_uri: String,
    }
}

/// What `confirmTwoFactor` takes.
#[derive(InputObject)]
pub struct ConfirmTwoFactorInput {
    /// The authenticator's code.
    code: String,
}

payload! {
    /// Signing in takes a code from now on.
    ConfirmTwoFactorPayload {
        /// Ten codes, each of which stands in for the authenticator once; shown once.
        recovery_codes: Vec<String>,
    }
}

/// What `disableTwoFactor` takes.
#[derive(InputObject)]
pub struct DisableTwoFactorInput {
    /// A code of the authenticator, or a recovery code.
    code: String,
}

payload! {
    /// Signing in takes no code any more.
    DisableTwoFactorPayload {}
}

payload! {
    /// The older recovery codes are void.
    RenewRecoveryCodesPayload {
        /// Ten codes, each of which stands in for the authenticator once; shown once. Null for a repeat of an `Idempotency-Key`, because
        /// they are not kept.
        recovery_codes: Vec<String>,
    }
}

/// What `keepTwoFactor` takes.
#[derive(InputObject)]
pub struct KeepTwoFactorInput {
    /// The token of the mail's link; not needed by its owner, signed in.
    token: Option<String>,
}

payload! {
    /// The second factor stays on.
    KeepTwoFactorPayload {}
}

/// What `completeSignIn` takes.
#[derive(InputObject)]
pub struct CompleteSignInInput {
    /// The challenge of `signIn`.
    challenge: String,
    /// A code of the authenticator, or a recovery code.
    code: String,
    /// Without cookies: the `deviceToken` of an earlier sign-in.
    device_token: Option<String>,
}

fn texts(made: &NewRecoveryCodes) -> Vec<String> {
    made.codes.iter().map(|code| code.expose().to_owned()).collect()
}

#[Object]
impl TwoFactorMutation {
    /// Makes a seed for an authenticator. Needs a fresh proof of who asks.
    async fn enrol_two_factor(&self, context: &Context<'_>) -> Result<EnrolTwoFactorPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(EnrolTwoFactorPayload::refused(error)),
        };
        Ok(match outcome(EnrolTwoFactor { account }.run(&sides.write).await)? {
            Ok(enrolled) => EnrolTwoFactorPayload {
                secret: Some(enrolled.secret.to_string()),
                otpauth_uri: Some(enrolled.uri.to_string()),
                ..Default::default()
            },
            Err(error) => EnrolTwoFactorPayload::refused(error),
        })
    }

    /// Turns the second factor on by the authenticator's first code.
    async fn confirm_two_factor(
        &self,
        context: &Context<'_>,
        input: ConfirmTwoFactorInput,
    ) -> Result<ConfirmTwoFactorPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = ConfirmTwoFactor { account, code: input.code };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(made) => ConfirmTwoFactorPayload {
                recovery_codes: Some(texts(&made)),
                position: Some(sides.read.token(made.position)),
                ..Default::default()
            },
            Err(error) => ConfirmTwoFactorPayload::refused(error),
        })
    }

    /// Turns the second factor off. Needs a fresh proof of who asks, and a code.
    async fn disable_two_factor(
        &self,
        context: &Context<'_>,
        input: DisableTwoFactorInput,
    ) -> Result<DisableTwoFactorPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(DisableTwoFactorPayload::refused(error)),
        };
        let use_case = DisableTwoFactor { account, code: input.code };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                DisableTwoFactorPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => DisableTwoFactorPayload::refused(error),
        })
    }

    /// Makes new recovery codes and voids the older ones. Needs a fresh proof of who asks.
    async fn renew_recovery_codes(&self, context: &Context<'_>) -> Result<RenewRecoveryCodesPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(RenewRecoveryCodesPayload::refused(error)),
        };
        let once = Once::of(context)?;
        let renewed = once.run(context, RenewRecoveryCodes { account }.run(&sides.write, &once.command)).await?;
        Ok(match renewed {
            Ok(Done::Now(made)) => RenewRecoveryCodesPayload {
                recovery_codes: (!made.codes.is_empty()).then(|| texts(&made)),
                position: Some(sides.read.token(made.position)),
                ..Default::default()
            },
            Ok(Done::Before { position, .. }) => {
                RenewRecoveryCodesPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => RenewRecoveryCodesPayload::refused(error),
        })
    }

    /// Says no to staff who were asked to turn the second factor off, by the mail's link or signed in.
    async fn keep_two_factor(&self, context: &Context<'_>, input: KeepTwoFactorInput) -> Result<KeepTwoFactorPayload> {
        let sides = context.data::<Sides>()?;
        let use_case = match input.token {
            Some(token) => KeepTwoFactor::ByLink { token },
            None => KeepTwoFactor::ByOwner { account: signed_in(context)?.0 },
        };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => KeepTwoFactorPayload { position: Some(sides.read.token(position)), ..Default::default() },
            Err(error) => KeepTwoFactorPayload::refused(error),
        })
    }

    /// Brings the code that a sign-in waits for; the session comes as a cookie and as a token.
    async fn complete_sign_in(&self, context: &Context<'_>, input: CompleteSignInInput) -> Result<SignInPayload> {
        let sides = context.data::<Sides>()?;
        let CompleteSignInInput { challenge, code, device_token } = input;
        let origin = origin(context).with_device_token(device_token.as_deref());
        let use_case = CompleteSignIn { challenge, code, origin };
        match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(signed_in) => opened(context, &signed_in),
            Err(error) => Ok(SignInPayload::refused(error)),
        }
    }
}
