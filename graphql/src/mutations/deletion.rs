//! Deleting the account, in two steps (A35-A39).

use async_graphql::{Context, InputObject, Object, Result};
use atelier_commands::use_cases::{ConfirmAccountDeletion, RequestAccountDeletion};
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::caller::{SessionCookie, freshly_proven};
use crate::number::int;
use crate::once::Once;
use crate::payload::{outcome, payload};

/// The mutations of this room.
#[derive(Default)]
pub struct DeletionMutation;

payload! {
    /// What a deletion would take, and what confirms it. Nothing is deleted yet.
    RequestAccountDeletionPayload {
        /// For `confirmAccountDeletion`; shown once.
        token: String,
        /// Until when it confirms.
        expires_at: DateTime<Utc>,
        /// Credits that would be forfeited. With a question about a bill, contact support first: see `supportUrl`.
        forfeited_credits: i32,
        /// Jobs that would be cancelled.
        running_jobs: i32,
        /// Where people reach support; null when this studio has not said.
        support_url: String,
    }
}

/// What `confirmAccountDeletion` takes.
#[derive(InputObject)]
pub struct ConfirmAccountDeletionInput {
    /// The token of `requestAccountDeletion`.
    token: String,
    /// Your username, typed out.
    username: String,
}

payload! {
    /// The account is closed for ever, this session with it; the rest of it is being removed.
    ConfirmAccountDeletionPayload {}
}

#[Object]
impl DeletionMutation {
    /// Says what deleting the account would take, and gives the token that confirms it. Needs a fresh proof of who asks (`reauthenticate`).
    async fn request_account_deletion(&self, context: &Context<'_>) -> Result<RequestAccountDeletionPayload> {
        let sides = context.data::<Sides>()?;
        let account = match freshly_proven(context)? {
            Ok((account, _)) => account,
            Err(error) => return Ok(RequestAccountDeletionPayload::refused(error)),
        };
        let use_case = RequestAccountDeletion { account };
        Ok(match outcome(use_case.run(&sides.write).await)? {
            Ok(offer) => RequestAccountDeletionPayload {
                token: Some(offer.token.expose().to_owned()),
                expires_at: Some(offer.expires_at),
                forfeited_credits: Some(int(offer.forfeited.get())),
                running_jobs: Some(int(offer.running_jobs)),
                support_url: sides.write.access.support_url.clone(),
                ..Default::default()
            },
            Err(error) => RequestAccountDeletionPayload::refused(error),
        })
    }

    /// Deletes the account and everything in it, for ever; unused credits are forfeited.
    async fn confirm_account_deletion(
        &self,
        context: &Context<'_>,
        input: ConfirmAccountDeletionInput,
    ) -> Result<ConfirmAccountDeletionPayload> {
        let sides = context.data::<Sides>()?;
        let account = match freshly_proven(context)? {
            Ok((account, _)) => account,
            Err(error) => return Ok(ConfirmAccountDeletionPayload::refused(error)),
        };
        let use_case = ConfirmAccountDeletion { account, token: input.token, username: input.username };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                if let Some(cookie) = context.data_opt::<SessionCookie>() {
                    context.append_http_header("set-cookie", cookie.clear());
                }
                let position = Some(sides.read.token(position));
                ConfirmAccountDeletionPayload { position, ..Default::default() }
            }
            Err(error) => ConfirmAccountDeletionPayload::refused(error),
        })
    }
}
