//! What a session makes does not outlive it when the session ends at that very moment: looked at again once the thing counts, so that a
//! change of the password either finds it, or is seen here.

use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::sessions;

use super::issue_api_key::CreatedApiKey;
use super::link_identity::link;
use super::revoke_api_key::RevokeApiKey;
use super::unlink_identity::UnlinkIdentity;
use crate::command_path::CommandContext;
use crate::event_store::Position;
use crate::ports::ProvenIdentity;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// A key that a session has just made or rotated; it is revoked when the session has ended.
///
/// # Errors
/// `not_found` when the session has ended; the failures of log and rows.
pub async fn keep_key(
    write: &WriteSide,
    context: &CommandContext,
    (account, session): (AccountId, SessionId),
    created: CreatedApiKey,
) -> Result<CreatedApiKey, UseCaseError> {
    if counts(write, account, session).await? {
        return Ok(created);
    }
    RevokeApiKey { account, key: created.key }.run(write, context).await?;
    Err(ended())
}

/// Links an identity that its owner has just proven; it is unlinked when the session has ended.
///
/// # Errors
/// As `link`; `not_found` when the session has ended.
pub(super) async fn link_identity(
    write: &WriteSide,
    context: &CommandContext,
    (account, session): (AccountId, SessionId),
    proven: &ProvenIdentity,
) -> Result<Position, UseCaseError> {
    let (identity, position) = link(write, context, account, proven).await?;
    if counts(write, account, session).await? {
        return Ok(position);
    }
    UnlinkIdentity { account, identity }.run(write, context).await?;
    Err(ended())
}

async fn counts(write: &WriteSide, account: AccountId, session: SessionId) -> Result<bool, UseCaseError> {
    Ok(sessions::counts(&write.pool, account, session, write.now()).await?)
}

fn ended() -> UseCaseError {
    Refusal::new(RefusalCode::NotFound, "The session ended meanwhile.").into()
}
