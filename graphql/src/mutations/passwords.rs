//! Passwords: changed by who knows the current one, set anew by who has the mailbox.

use async_graphql::{Context, InputObject, Object, Result};
use atelier_commands::use_cases::{ChangePassword, CompletePasswordReset, Keep, RequestPasswordReset};

use crate::Sides;
use crate::caller::{SessionCookie, command_context, origin, signed_in};
use crate::mutations::sessions::DEVICE_COOKIE;
use crate::once::{mark_repeat, sent_key};
use crate::payload::{outcome, payload};

/// The mutations of this room.
#[derive(Default)]
pub struct PasswordMutation;

/// What `changePassword` takes.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The password now.
    current_password: String,
    /// At least 8 characters with a number and a symbol, and not easy to guess.
    new_password: String,
    /// Whether every API key ends as well; they go on when not given.
    revoke_api_keys: Option<bool>,
}

payload! {
    /// The new password counts, and every other session has ended.
    ChangePasswordPayload {}
}

/// What `requestPasswordReset` takes.
#[derive(InputObject)]
pub struct RequestPasswordResetInput {
    /// The address.
    email: String,
}

payload! {
    /// The same whoever's address it is; a mail is on its way if it is somebody's.
    RequestPasswordResetPayload {}
}

/// What `completePasswordReset` takes.
#[derive(InputObject)]
pub struct CompletePasswordResetInput {
    /// The token of the mail's link.
    token: String,
    /// At least 8 characters with a number and a symbol, and not easy to guess.
    new_password: String,
    /// Whether the API keys go on; they end when not given.
    keep_api_keys: Option<bool>,
    /// Whether linked accounts, such as Google's, still sign in; they are unlinked when not given, unless the account had no password.
    keep_linked_accounts: Option<bool>,
}

payload! {
    /// The new password counts, and every session has ended, with API keys and linked accounts that were not kept; sign in with it.
    CompletePasswordResetPayload {
        /// Without cookies: bring it to `signIn`, so that strangers' tries do not slow it down. It signs nobody in.
        device_token: String,
    }
}

#[Object]
impl PasswordMutation {
    /// Changes the password; the other sessions end.
    async fn change_password(
        &self,
        context: &Context<'_>,
        input: ChangePasswordInput,
    ) -> Result<ChangePasswordPayload> {
        let sides = context.data::<Sides>()?;
        let (account, session) = signed_in(context)?;
        let ChangePasswordInput { current_password, new_password, revoke_api_keys } = input;
        let revoke_api_keys = revoke_api_keys.unwrap_or_default();
        let idempotency_key = match sent_key(context, None) {
            Ok(key) => key,
            Err(refusal) => return Ok(ChangePasswordPayload::refused(refusal)),
        };
        let use_case =
            ChangePassword { account, session, current_password, new_password, revoke_api_keys, idempotency_key };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok((position, repeated)) => {
                mark_repeat(context, repeated);
                ChangePasswordPayload { position: Some(sides.read.token(position)), ..Default::default() }
            }
            Err(error) => ChangePasswordPayload::refused(error),
        })
    }

    /// Sends a link for a new password to an address, if it is somebody's; at most one a minute.
    async fn request_password_reset(
        &self,
        context: &Context<'_>,
        input: RequestPasswordResetInput,
    ) -> Result<RequestPasswordResetPayload> {
        let sides = context.data::<Sides>()?;
        let use_case = RequestPasswordReset { email: input.email, origin: origin(context) };
        Ok(match outcome(use_case.run(&sides.write).await)? {
            Ok(()) => RequestPasswordResetPayload::default(),
            Err(error) => RequestPasswordResetPayload::refused(error),
        })
    }

    /// Sets a new password by the token of the mail's link; it signs nobody in.
    async fn complete_password_reset(
        &self,
        context: &Context<'_>,
        input: CompletePasswordResetInput,
    ) -> Result<CompletePasswordResetPayload> {
        let sides = context.data::<Sides>()?;
        let CompletePasswordResetInput { token, new_password, keep_api_keys, keep_linked_accounts } = input;
        let keep =
            Keep { api_keys: keep_api_keys.unwrap_or_default(), identities: keep_linked_accounts.unwrap_or_default() };
        let use_case = CompletePasswordReset { token, new_password, keep };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok((position, device)) => {
                let device = device.expose();
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    context.append_http_header("set-cookie", cookie.set_device(&device, DEVICE_COOKIE));
                }
                CompletePasswordResetPayload {
                    device_token: Some(device),
                    position: Some(sides.read.token(position)),
                    ..Default::default()
                }
            }
            Err(error) => CompletePasswordResetPayload::refused(error),
        })
    }
}
