//! Signing up and verifying the address.

use async_graphql::{Context, InputObject, Object, Result};
use atelier_commands::use_cases::{ResendVerification, SignUp, VerifyEmail};
use atelier_domain::policy::account::UNVERIFIED_LIFE;

use crate::Sides;
use crate::caller::{SessionCookie, account, command_context, origin};
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
    SignUpPayload {
        /// Without cookies: keep it for `verifyEmail`, until the address is verified. It signs nobody in.
        sign_up_token: String,
    }
}

/// What `verifyEmail` takes: the link, and one thing of the sign-up that it belongs to. The browser's cookie of `signUp`, or a session of
/// the account, is such a thing; else `signUpToken` or `password`. With the link alone a new password is set.
#[derive(InputObject)]
pub struct VerifyEmailInput {
    /// The token of the mail's link.
    token: String,
    /// Without cookies: what `signUp` returned.
    sign_up_token: Option<String>,
    /// The password of the sign-up.
    password: Option<String>,
    /// A new password, by the rules of `signUp`: it ends whatever else the sign-up could be entered by, sessions too.
    new_password: Option<String>,
}

payload! {
    /// The address is verified when there are no user errors. `SIGN_UP_PROOF_REQUIRED`: the link alone is not enough. Every other sign-up with
    /// the address has ended, and what it claimed is free.
    VerifyEmailPayload {}
}

/// What `resendVerification` takes.
#[derive(InputObject)]
pub struct ResendVerificationInput {
    /// The address.
    email: String,
    /// Without cookies: what `signUp` returned, so that it is the link of that sign-up; of the newest one with the address otherwise.
    sign_up_token: Option<String>,
}

payload! {
    /// The same whoever's address it is; a mail is on its way if it waits for one.
    ResendVerificationPayload {}
}

#[Object]
impl IdentityMutation {
    /// Opens an account and sends the verification mail: at most one a minute and ten a day to one address. Before the address is verified, the
    /// account signs in to nothing, and keeps nobody else from the address.
    async fn sign_up(&self, context: &Context<'_>, input: SignUpInput) -> Result<SignUpPayload> {
        let sides = context.data::<Sides>()?;
        let SignUpInput { email, password, username, minimum_age } = input;
        let use_case = SignUp { email, password, username, minimum_age, origin: origin(context) };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(token) => {
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    context.append_http_header("set-cookie", cookie.set_sign_up(token.expose(), UNVERIFIED_LIFE));
                }
                SignUpPayload { sign_up_token: Some(token.expose().to_owned()), ..Default::default() }
            }
            Err(error) => SignUpPayload::refused(error),
        })
    }

    /// Proves the address by the token of the mail's link and something of the sign-up.
    async fn verify_email(&self, context: &Context<'_>, input: VerifyEmailInput) -> Result<VerifyEmailPayload> {
        let sides = context.data::<Sides>()?;
        let VerifyEmailInput { token, sign_up_token, password, new_password } = input;
        let origin = origin(context).with_sign_up_token(sign_up_token.as_deref());
        let use_case = VerifyEmail { token, password, new_password, signed_in: account(context), origin };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(position) => {
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    context.append_http_header("set-cookie", cookie.clear_sign_up());
                }
                VerifyEmailPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => VerifyEmailPayload::refused(error),
        })
    }

    /// Sends the verification mail again, if the address waits for it; at most one a minute and ten a day.
    async fn resend_verification(
        &self,
        context: &Context<'_>,
        input: ResendVerificationInput,
    ) -> Result<ResendVerificationPayload> {
        let sides = context.data::<Sides>()?;
        let ResendVerificationInput { email, sign_up_token } = input;
        let origin = origin(context).with_sign_up_token(sign_up_token.as_deref());
        let use_case = ResendVerification { email, origin };
        Ok(match outcome(use_case.run(&sides.write).await)? {
            Ok(()) => ResendVerificationPayload::default(),
            Err(error) => ResendVerificationPayload::refused(error),
        })
    }
}
