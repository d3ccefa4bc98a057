//! Signing up and verifying the address.

use async_graphql::{Context, InputObject, Object, Result};
use atelier_commands::use_cases::{ResendVerification, SignUp, VerifyEmail};

use crate::Sides;
use crate::caller::{command_context, origin};
use crate::payload::{outcome, payload};

/// The mutations of this room.
#[derive(Default)]
pub struct IdentityMutation;

/// What `signUp` takes.
#[derive(InputObject)]
pub struct SignUpInput {
    /// The address; a mail to it carries the verification link.
    email: String,
    /// At least 8 characters with a number and a symbol, and not easy to guess.
    password: String,
    /// 3-30 of `a-z 0-9 _ -`, starting with a letter.
    username: String,
    /// The age the person declares to have reached; at least 13.
    minimum_age: i32,
}

payload! {
    /// The same whether or not the address was known already; the mail tells its owner.
    SignUpPayload {}
}

/// What `verifyEmail` takes.
#[derive(InputObject)]
pub struct VerifyEmailInput {
    /// The token of the mail's link.
    token: String,
}

payload! {
    /// The address is verified when there are no user errors.
    VerifyEmailPayload {}
}

/// What `resendVerification` takes.
#[derive(InputObject)]
pub struct ResendVerificationInput {
    /// The address.
    email: String,
}

payload! {
    /// The same whoever's address it is; a mail is on its way if it waits for one.
    ResendVerificationPayload {}
}

#[Object]
impl IdentityMutation {
    /// Opens an account and sends the verification mail.
    async fn sign_up(&self, context: &Context<'_>, input: SignUpInput) -> Result<SignUpPayload> {
        let sides = context.data::<Sides>()?;
        let SignUpInput { email, password, username, minimum_age } = input;
        let use_case = SignUp { email, password, username, minimum_age, origin: origin(context) };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(()) => SignUpPayload::default(),
            Err(error) => SignUpPayload::refused(error),
        })
    }

    /// Proves the address by the token of the mail's link.
    async fn verify_email(&self, context: &Context<'_>, input: VerifyEmailInput) -> Result<VerifyEmailPayload> {
        let sides = context.data::<Sides>()?;
        let use_case = VerifyEmail { token: input.token };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(position) => VerifyEmailPayload { position: Some(sides.read.token(position.0)), ..Default::default() },
            Err(error) => VerifyEmailPayload::refused(error),
        })
    }

    /// Sends the verification mail again, if the address waits for it; at most one a minute.
    async fn resend_verification(
        &self,
        context: &Context<'_>,
        input: ResendVerificationInput,
    ) -> Result<ResendVerificationPayload> {
        let sides = context.data::<Sides>()?;
        let use_case = ResendVerification { email: input.email, origin: origin(context) };
        Ok(match outcome(use_case.run(&sides.write).await)? {
            Ok(()) => ResendVerificationPayload::default(),
            Err(error) => ResendVerificationPayload::refused(error),
        })
    }
}
