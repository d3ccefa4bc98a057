//! Identities elsewhere: signing in and up with one, proving who is asking by one, linking and unlinking.
//!
//! A frontend sends a browser to `/auth/google/start`, or to the address that `linkGoogle` or `startGoogleReauthentication` answers with;
//! the browser comes back to the frontend's `redirectUri` with a code; and the frontend redeems it here, with its PKCE verifier.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use atelier_commands::use_cases::{
    CompleteGoogleLink, CompleteGoogleSignIn, Frontend, GoogleProof, Identified, LeaveForGoogle, Newcomer,
    SignUpWithGoogle, UnlinkIdentity,
};
use atelier_commands::{Refusal, RefusalCode, UseCaseError, WriteSide};

use super::sessions::{NewSession, SignInPayload, entered};
use crate::Sides;
use crate::caller::{SessionCookie, command_context, freshly_proven, origin, signed_in};
use crate::global_id;
use crate::once::Once;
use crate::payload::{outcome, payload};

/// The mutations of this room.
#[derive(Default)]
pub struct ExternalIdentityMutation;

/// What `signUpWithGoogle` takes.
#[derive(InputObject)]
pub struct SignUpWithGoogleInput {
    /// The ticket that `completeGoogleSignIn` gave.
    ticket: String,
    /// 3-30 of `a-z 0-9 _ -`, starting with a letter.
    username: String,
    /// The age the person declares to have reached.
    minimum_age: i32,
}

/// What `completeGoogleSignIn` takes.
#[derive(InputObject)]
pub struct CompleteGoogleSignInInput {
    /// The `code` that the browser came back with. It counts once, for two minutes.
    code: String,
    /// The PKCE verifier of the challenge that `/auth/google/start` was given.
    code_verifier: String,
}

/// A Google account that has no account here yet, and what a sign-up screen can begin with.
#[derive(SimpleObject)]
pub struct GoogleSignUp {
    /// For `signUpWithGoogle`; it counts for 30 minutes.
    ticket: String,
    /// The address that Google tells.
    email: String,
    /// Whether it counts as proven; otherwise a mail is sent to verify it.
    email_verified: bool,
    /// A username that is made of the address and was free a moment ago, if there is one.
    suggested_username: Option<String>,
}

impl From<Newcomer> for GoogleSignUp {
    fn from(newcomer: Newcomer) -> Self {
        let Newcomer { ticket, email, verified, username } = newcomer;
        Self { ticket, email: email.as_ref().to_owned(), email_verified: verified, suggested_username: username }
    }
}

payload! {
    /// As `signIn` answers: a session, set as a cookie as well, or a challenge; or, for a Google account that has no account here yet,
    /// what it signs up with. `LINK_REQUIRED` says that its address belongs to an account, to be signed in to and linked.
    CompleteGoogleSignInPayload {
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
        /// Who may sign up.
        sign_up: GoogleSignUp,
    }
}

impl From<SignInPayload> for CompleteGoogleSignInPayload {
    fn from(payload: SignInPayload) -> Self {
        let SignInPayload { two_factor_required, challenge, session, token, device_token, user_errors, position } =
            payload;
        let sign_up = None;
        Self { two_factor_required, challenge, session, token, device_token, sign_up, user_errors, position }
    }
}

/// Where a browser comes back to, as OAuth clients say it. The names are those of RFC 6749 and RFC 7636.
#[derive(InputObject)]
pub struct GoogleReturnInput {
    /// A page of the frontend's origin or of a listed one, or a listed address of an app.
    redirect_uri: String,
    /// The PKCE challenge, by S256.
    code_challenge: String,
    /// Comes back with the browser: 1 to 512 printable ASCII characters.
    state: Option<String>,
}

impl GoogleReturnInput {
    fn frontend(&self, write: &WriteSide) -> std::result::Result<Frontend, Refusal> {
        Frontend::new(write, &self.redirect_uri, &self.code_challenge, self.state.as_deref())
    }
}

payload! {
    /// The browser goes to the address. Without `input` it must carry the cookie that this answer sets, and ends on a page of this
    /// server; with it, it comes back to the frontend with a code for `completeGoogleLink`.
    LinkGooglePayload {
        /// Where to.
        authorization_url: String,
    }
}

/// What `completeGoogleLink` takes.
#[derive(InputObject)]
pub struct CompleteGoogleLinkInput {
    /// The `code` that the browser came back with. It counts once, for two minutes, in the session that called `linkGoogle`.
    code: String,
    /// The PKCE verifier of the challenge that `linkGoogle` was given.
    code_verifier: String,
}

payload! {
    /// The identity signs in to the account from now on.
    CompleteGoogleLinkPayload {}
}

payload! {
    /// The browser goes to the address, and comes back to the frontend with a code for `reauthenticate`.
    StartGoogleReauthenticationPayload {
        /// Where to.
        authorization_url: String,
    }
}

/// What `unlinkIdentity` takes.
#[derive(InputObject)]
pub struct UnlinkIdentityInput {
    /// The identity.
    identity_id: ID,
}

payload! {
    /// The identity signs in no more.
    UnlinkIdentityPayload {}
}

#[Object]
impl ExternalIdentityMutation {
    /// Opens an account with the ticket of a return from Google, and signs in.
    async fn sign_up_with_google(&self, context: &Context<'_>, input: SignUpWithGoogleInput) -> Result<SignInPayload> {
        let sides = context.data::<Sides>()?;
        let SignUpWithGoogleInput { ticket, username, minimum_age } = input;
        let use_case = SignUpWithGoogle { ticket, username, minimum_age, origin: origin(context) };
        match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(entrance) => entered(context, &entrance),
            Err(error) => Ok(SignInPayload::refused(error)),
        }
    }

    /// Signs in with what a browser came back from Google with, or leads to `signUpWithGoogle`.
    async fn complete_google_sign_in(
        &self,
        context: &Context<'_>,
        input: CompleteGoogleSignInInput,
    ) -> Result<CompleteGoogleSignInPayload> {
        let sides = context.data::<Sides>()?;
        let proof = GoogleProof { code: input.code, verifier: input.code_verifier };
        let use_case = CompleteGoogleSignIn { proof, origin: origin(context) };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(Identified::Known(entrance)) => entered(context, &entrance)?.into(),
            Ok(Identified::New(newcomer)) => {
                CompleteGoogleSignInPayload { sign_up: Some(newcomer.into()), ..Default::default() }
            }
            Ok(Identified::LinkFirst) => {
                let message = "There is an account with this address. Sign in to it, then link Google in its settings.";
                CompleteGoogleSignInPayload::refused(Refusal::new(RefusalCode::LinkRequired, message))
            }
            Err(error) => CompleteGoogleSignInPayload::refused(error),
        })
    }

    /// Begins to prove by a linked Google account who is asking, for accounts without a password above all: the browser goes there and
    /// signs in again, and comes back with a code for `reauthenticate`.
    async fn start_google_reauthentication(
        &self,
        context: &Context<'_>,
        input: GoogleReturnInput,
    ) -> Result<StartGoogleReauthenticationPayload> {
        let write = &context.data::<Sides>()?.write;
        let asking = signed_in(context)?;
        let begun = input.frontend(write).map_err(UseCaseError::from);
        let begun = begun.and_then(|frontend| LeaveForGoogle::address_to_reauthenticate(write, asking, frontend));
        Ok(match outcome(begun)? {
            Ok(url) => StartGoogleReauthenticationPayload { authorization_url: Some(url), ..Default::default() },
            Err(error) => StartGoogleReauthenticationPayload::refused(error),
        })
    }

    /// Links the Google account that a browser came back with. It belongs to the session that called `linkGoogle`.
    async fn complete_google_link(
        &self,
        context: &Context<'_>,
        input: CompleteGoogleLinkInput,
    ) -> Result<CompleteGoogleLinkPayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = signed_in(context)?;
        let proof = GoogleProof { code: input.code, verifier: input.code_verifier };
        let use_case = CompleteGoogleLink { account, session, proof };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                CompleteGoogleLinkPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => CompleteGoogleLinkPayload::refused(error),
        })
    }

    /// Begins to link a Google account: its owner proves it there. Needs a fresh proof of who asks.
    async fn link_google(&self, context: &Context<'_>, input: Option<GoogleReturnInput>) -> Result<LinkGooglePayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(LinkGooglePayload::refused(error)),
        };
        if let Some(input) = input {
            let begun = input.frontend(&sides.write).map_err(UseCaseError::from);
            let begun =
                begun.and_then(|frontend| LeaveForGoogle::address_to_link(&sides.write, (account, session), frontend));
            return Ok(match outcome(begun)? {
                Ok(url) => LinkGooglePayload { authorization_url: Some(url), ..Default::default() },
                Err(error) => LinkGooglePayload::refused(error),
            });
        }
        Ok(match outcome(LeaveForGoogle::to_link(account, session).run(&sides.write, &origin(context)).await)? {
            Ok(leaving) => {
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    let life = LeaveForGoogle::LIFE;
                    context.append_http_header("set-cookie", cookie.set_browser(leaving.browser.expose(), life));
                }
                LinkGooglePayload { authorization_url: Some(leaving.url), ..Default::default() }
            }
            Err(error) => LinkGooglePayload::refused(error),
        })
    }

    /// Unlinks an identity; refused for the only way in. Needs a fresh proof of who asks.
    async fn unlink_identity(
        &self,
        context: &Context<'_>,
        input: UnlinkIdentityInput,
    ) -> Result<UnlinkIdentityPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(UnlinkIdentityPayload::refused(error)),
        };
        let identity = match global_id::identity("identity_id", &input.identity_id) {
            Ok(identity) => identity,
            Err(refusal) => return Ok(UnlinkIdentityPayload::refused(refusal)),
        };
        let once = Once::of(context)?;
        let use_case = UnlinkIdentity { account, identity };
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => UnlinkIdentityPayload { position: Some(sides.read.token(position)), ..Default::default() },
            Err(error) => UnlinkIdentityPayload::refused(error),
        })
    }
}
