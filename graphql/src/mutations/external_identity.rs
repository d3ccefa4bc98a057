//! Identities elsewhere: signing up with one, linking and unlinking.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{LeaveForGoogle, SignUpWithGoogle, UnlinkIdentity};

use super::sessions::{SignInPayload, entered};
use crate::Sides;
use crate::caller::{SessionCookie, command_context, freshly_proven, origin};
use crate::global_id::GlobalId;
use crate::payload::{outcome, payload, unknown_id};

/// The mutations of this room.
#[derive(Default)]
pub struct ExternalIdentityMutation;

/// What `signUpWithGoogle` takes.
#[derive(InputObject)]
pub struct SignUpWithGoogleInput {
    /// The ticket that the return from Google gave.
    ticket: String,
    /// 3-30 of `a-z 0-9 _ -`, starting with a letter.
    username: String,
    /// The age the person declares to have reached.
    minimum_age: i32,
}

payload! {
    /// The browser goes to the address; it carries the cookie that this answer sets.
    LinkGooglePayload {
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

    /// Begins to link a Google account: its owner proves it there. Needs a fresh proof of who asks.
    async fn link_google(&self, context: &Context<'_>) -> Result<LinkGooglePayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = match freshly_proven(context)? {
            Ok(proven) => proven,
            Err(error) => return Ok(LinkGooglePayload::refused(error)),
        };
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
        let Some(GlobalId::Identity(identity)) = GlobalId::parse(&input.identity_id) else {
            return Ok(UnlinkIdentityPayload::refused(unknown_id("identity_id")));
        };
        let unlinked = UnlinkIdentity { account, identity }.run(&sides.write, &command_context(context)?).await;
        Ok(match outcome(unlinked)? {
            Ok(position) => {
                UnlinkIdentityPayload { position: Some(sides.read.token(position.0)), ..Default::default() }
            }
            Err(error) => UnlinkIdentityPayload::refused(error),
        })
    }
}
