//! Signing up, verifying, signing in and out.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use atelier_commands::use_cases::{ResendVerification, RevokeSession, SignIn, SignUp, VerifyEmail};
use atelier_domain::account::SessionEnd;
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::caller::{SessionCookie, command_context, signed_in};
use crate::global_id::GlobalId;
use crate::payload::{outcome, payload, unknown_id};

/// The mutations of this room.
#[derive(Default)]
pub struct IdentityMutation;

/// What `signUp` takes.
#[derive(InputObject)]
pub struct SignUpInput {
    /// The address; a mail to it carries the verification link.
    email: String,
    /// At least 8 characters with a number and a symbol.
    password: String,
    /// 3-30 of `a-z 0-9 _ -`, starting with a letter.
    username: String,
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

payload! {
    /// A mail is on its way, unless the address is verified already.
    ResendVerificationPayload {}
}

/// What `signIn` takes.
#[derive(InputObject)]
pub struct SignInInput {
    /// The address.
    email: String,
    /// The password.
    password: String,
}

/// A new session.
#[derive(SimpleObject)]
pub struct NewSession {
    /// The session's id.
    id: ID,
    /// Its absolute end.
    expires_at: DateTime<Utc>,
}

payload! {
    /// A session, set as a cookie as well.
    SignInPayload {
        /// The session.
        session: NewSession,
        /// For `Authorization: Bearer`, where cookies do not suit; shown once.
        token: String,
    }
}

payload! {
    /// The session no longer counts.
    SignOutPayload {}
}

/// What `revokeSession` takes.
#[derive(InputObject)]
pub struct RevokeSessionInput {
    /// The session.
    session_id: ID,
}

payload! {
    /// The session no longer counts.
    RevokeSessionPayload {}
}

#[Object]
impl IdentityMutation {
    /// Opens an account and sends the verification mail.
    async fn sign_up(&self, context: &Context<'_>, input: SignUpInput) -> Result<SignUpPayload> {
        let sides = context.data::<Sides>()?;
        let use_case = SignUp { email: input.email, password: input.password, username: input.username };
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

    /// Sends the verification mail again; at most one a minute.
    async fn resend_verification(&self, context: &Context<'_>) -> Result<ResendVerificationPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let sent = ResendVerification { account }.run(&sides.write).await;
        Ok(match outcome(sent)? {
            Ok(()) => ResendVerificationPayload::default(),
            Err(error) => ResendVerificationPayload::refused(error),
        })
    }

    /// Signs in; the session comes as a cookie and as a token.
    async fn sign_in(&self, context: &Context<'_>, input: SignInInput) -> Result<SignInPayload> {
        let sides = context.data::<Sides>()?;
        let use_case = SignIn { email: input.email, password: input.password };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(signed_in) => {
                let token = signed_in.token.expose().to_owned();
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    context
                        .append_http_header("set-cookie", cookie.set(&token, signed_in.expires_at - sides.write.now()));
                }
                SignInPayload {
                    session: Some(NewSession {
                        id: GlobalId::Session(signed_in.session).into(),
                        expires_at: signed_in.expires_at,
                    }),
                    token: Some(token),
                    position: Some(sides.read.token(signed_in.position.0)),
                    ..Default::default()
                }
            }
            Err(error) => SignInPayload::refused(error),
        })
    }

    /// Signs out: the session does not count on the very next request.
    async fn sign_out(&self, context: &Context<'_>) -> Result<SignOutPayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = signed_in(context)?;
        let use_case = RevokeSession { account, session, reason: SessionEnd::SignedOut };
        if let Some(cookie) = context.data_opt::<SessionCookie>() {
            context.append_http_header("set-cookie", cookie.clear());
        }
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(position) => SignOutPayload { position: Some(sides.read.token(position.0)), ..Default::default() },
            Err(error) => SignOutPayload::refused(error),
        })
    }

    /// Ends one of the account's sessions, from anywhere.
    async fn revoke_session(&self, context: &Context<'_>, input: RevokeSessionInput) -> Result<RevokeSessionPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let Some(GlobalId::Session(session)) = GlobalId::parse(&input.session_id) else {
            return Ok(RevokeSessionPayload::refused(unknown_id("session_id")));
        };
        let use_case = RevokeSession { account, session, reason: SessionEnd::Revoked };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(position) => RevokeSessionPayload { position: Some(sides.read.token(position.0)), ..Default::default() },
            Err(error) => RevokeSessionPayload::refused(error),
        })
    }
}
