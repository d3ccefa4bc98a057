//! Signing in and out, sessions elsewhere, and the fresh proof that dangerous settings need.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use atelier_commands::use_cases::{
    Entrance, GoogleProof, Reauthenticate, RevokeSession, RevokeSessions, SignIn, SignedIn,
};
use atelier_commands::{CommandError, RefusalCode};
use atelier_domain::SessionId;
use atelier_domain::account::SessionEnd;
use chrono::{DateTime, TimeDelta, Utc};

use crate::Sides;
use crate::caller::{SessionCookie, command_context, origin, signed_in};
use crate::error::command_fault;
use crate::global_id::{self, GlobalId};
use crate::once::Once;
use crate::payload::{outcome, payload};

/// How long the device's cookie is kept; the token says itself how long it counts.
pub(crate) const DEVICE_COOKIE: TimeDelta = TimeDelta::days(180);

/// The mutations of this room.
#[derive(Default)]
pub struct SessionMutation;

/// What `signIn` takes.
#[derive(InputObject)]
pub struct SignInInput {
    /// The address.
    email: String,
    /// The password.
    password: String,
    /// Without cookies: the `deviceToken` of an earlier sign-in, so that strangers' tries do not slow this one down.
    device_token: Option<String>,
}

/// A new session.
#[derive(SimpleObject)]
pub struct NewSession {
    /// The session's id.
    id: ID,
    /// Its absolute end; it ends sooner when it is not used for 30 days, 12 hours for accounts with a role.
    expires_at: DateTime<Utc>,
}

payload! {
    /// A session, set as a cookie as well; or a challenge, where the account's second factor is on.
    SignInPayload {
        /// Whether a code is missing: bring it with the challenge to `completeSignIn`.
        two_factor_required: bool,
        /// What `completeSignIn` takes; it counts for ten minutes.
        challenge: String,
        /// The session.
        session: NewSession,
        /// For `Authorization: Bearer`, where cookies do not suit; shown once.
        token: String,
        /// Without cookies: keep it for the next sign-in from here. It signs nobody in.
        device_token: String,
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

payload! {
    /// The sessions no longer count.
    RevokeSessionsPayload {}
}

/// What `reauthenticate` takes.
#[derive(InputObject)]
pub struct ReauthenticateInput {
    /// The password, where the account has one.
    password: Option<String>,
    /// Or what a browser came back from Google with, after `startGoogleReauthentication`.
    google: Option<GoogleProofInput>,
    /// A code of the authenticator, or a recovery code, where the second factor is on. An account without a password needs nothing else.
    code: Option<String>,
}

/// What a browser came back from Google with, and what proves that this client began it.
#[derive(InputObject)]
pub struct GoogleProofInput {
    /// The `code` that the browser came back with. It counts once, for two minutes, in the session that began it.
    code: String,
    /// The PKCE verifier of the challenge that it began with.
    code_verifier: String,
}

payload! {
    /// The session goes on under another token, set as a cookie as well; the old one is dead.
    ReauthenticatePayload {
        /// For `Authorization: Bearer`, where cookies do not suit; shown once.
        token: String,
    }
}

/// The answer to a right first factor.
pub(crate) fn entered(context: &Context<'_>, entrance: &Entrance) -> Result<SignInPayload> {
    match entrance {
        Entrance::Open(signed_in) => opened(context, signed_in),
        Entrance::CodeNeeded(challenge) => Ok(SignInPayload {
            two_factor_required: Some(true),
            challenge: Some(challenge.token.expose().to_owned()),
            ..Default::default()
        }),
    }
}

/// The answer to a sign-in, with its cookies.
pub(crate) fn opened(context: &Context<'_>, signed_in: &SignedIn) -> Result<SignInPayload> {
    let sides = context.data::<Sides>()?;
    let (token, device) = (signed_in.token.expose().to_owned(), signed_in.device.expose());
    if let Some(cookie) = context.data_opt::<SessionCookie>() {
        context.append_http_header("set-cookie", cookie.set(&token, signed_in.expires_at - sides.write.now()));
        context.append_http_header("set-cookie", cookie.set_device(&device, DEVICE_COOKIE));
    }
    let session = NewSession { id: GlobalId::Session(signed_in.session).into(), expires_at: signed_in.expires_at };
    Ok(SignInPayload {
        two_factor_required: Some(false),
        session: Some(session),
        token: Some(token),
        device_token: Some(device),
        position: Some(sides.read.token(signed_in.position)),
        ..Default::default()
    })
}

/// Ends an account's sessions but perhaps one.
async fn revoke(context: &Context<'_>, except: Option<SessionId>) -> Result<RevokeSessionsPayload> {
    let sides = context.data::<Sides>()?;
    let (account, _) = signed_in(context)?;
    let use_case = RevokeSessions { account, except, reason: SessionEnd::Revoked };
    let once = Once::of(context)?;
    Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
        Ok(position) => RevokeSessionsPayload { position: Some(sides.read.token(position)), ..Default::default() },
        Err(error) => RevokeSessionsPayload::refused(error),
    })
}

fn clear_cookie(context: &Context<'_>) {
    if let Some(cookie) = context.data_opt::<SessionCookie>() {
        context.append_http_header("set-cookie", cookie.clear());
    }
}

#[Object]
impl SessionMutation {
    /// Signs in; the session comes as a cookie and as a token, or a code is asked for. An address that was not verified yet signs in to nothing.
    async fn sign_in(&self, context: &Context<'_>, input: SignInInput) -> Result<SignInPayload> {
        let sides = context.data::<Sides>()?;
        let SignInInput { email, password, device_token } = input;
        let origin = origin(context).with_device_token(device_token.as_deref());
        let use_case = SignIn { email, password, origin };
        match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(entrance) => entered(context, &entrance),
            Err(error) => Ok(SignInPayload::refused(error)),
        }
    }

    /// Signs out: the session does not count on the very next request, and its cookie is taken back. It succeeds without a session that
    /// counts as well: there is nothing left to end.
    async fn sign_out(&self, context: &Context<'_>) -> Result<SignOutPayload> {
        let sides = context.data::<Sides>()?;
        let mut payload = SignOutPayload::default();
        if let Ok((account, session)) = signed_in(context) {
            let use_case = RevokeSession { account, session, reason: SessionEnd::SignedOut };
            match use_case.run(&sides.write, &command_context(context)?).await {
                Ok(position) => payload.position = Some(sides.read.token(position)),
                // The account went while this was asked, and its sessions with it.
                Err(CommandError::Erased) => {}
                Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::NotFound => {}
                Err(CommandError::Refused(refusal)) => return Ok(SignOutPayload::refused(refusal)),
                Err(fault) => return Err(command_fault(&fault)),
            }
        }
        clear_cookie(context);
        Ok(payload)
    }

    /// Ends one of the account's sessions, from anywhere.
    async fn revoke_session(&self, context: &Context<'_>, input: RevokeSessionInput) -> Result<RevokeSessionPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let session = match global_id::session("session_id", &input.session_id) {
            Ok(session) => session,
            Err(refusal) => return Ok(RevokeSessionPayload::refused(refusal)),
        };
        let use_case = RevokeSession { account, session, reason: SessionEnd::Revoked };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => RevokeSessionPayload { position: Some(sides.read.token(position)), ..Default::default() },
            Err(error) => RevokeSessionPayload::refused(error),
        })
    }

    /// Ends every session of the account but this one.
    async fn revoke_other_sessions(&self, context: &Context<'_>) -> Result<RevokeSessionsPayload> {
        let (_, session) = signed_in(context)?;
        revoke(context, Some(session)).await
    }

    /// Ends every session of the account, this one too.
    async fn revoke_all_sessions(&self, context: &Context<'_>) -> Result<RevokeSessionsPayload> {
        let ended = revoke(context, None).await?;
        clear_cookie(context);
        Ok(ended)
    }

    /// Proves again who is asking, as dangerous settings need it; it holds for ten minutes. By the password, by a linked Google account,
    /// or, for an account without a password, by the second factor alone.
    async fn reauthenticate(&self, context: &Context<'_>, input: ReauthenticateInput) -> Result<ReauthenticatePayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = signed_in(context)?;
        let ReauthenticateInput { password, google, code } = input;
        let google = google.map(|proof| GoogleProof { code: proof.code, verifier: proof.code_verifier });
        let use_case = Reauthenticate { account, session, password, google, code };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(token) => {
                let token = token.expose().to_owned();
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    context.append_http_header("set-cookie", cookie.set(&token, sides.write.access.session_life));
                }
                ReauthenticatePayload { token: Some(token), ..Default::default() }
            }
            Err(error) => ReauthenticatePayload::refused(error),
        })
    }
}
