//! What renames and uploads leave when a process dies, ended; and what has had its time, removed. Part of the reconciler's round.

use atelier_domain::account::{Account, Avatar};
use atelier_domain::{AccountId, AvatarId};
use atelier_vault::IndexKind;
use atelier_vault::credential_rows::{avatar_tickets, avatar_uploads, bonus_marks, claims};
use chrono::{DateTime, TimeDelta, Utc};

use crate::refusal::{Refusal, UseCaseError};
use crate::use_cases::{address_claims, rename_claims};
use crate::write_side::WriteSide;

/// Objects younger than this may belong to an upload that is still at work (DESIGN 7: only what is past its lease).
const UPLOAD_AT_REST: TimeDelta = TimeDelta::hours(1);
/// Rows of one kind taken in one round.
const ROUND: i64 = 200;

/// What one round ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfilesTidied {
    /// Renames and changes of address that had happened, settled.
    pub settled: usize,
    /// Those that had not and cannot any more, given up.
    pub given_up: usize,
    /// Uploads that no event named, with their objects.
    pub swept: usize,
}

/// One round over what is older than `before`; what fails waits for the next and holds nothing else up.
pub(crate) async fn tidy(write: &WriteSide, before: DateTime<Utc>) -> Result<ProfilesTidied, UseCaseError> {
    let mut done = ProfilesTidied::default();
    for pending in claims::pending_before(&write.pool, IndexKind::Username, None, before, ROUND).await? {
        match rename_claims::end(write, &pending).await {
            Ok(Some(true)) => done.settled += 1,
            Ok(Some(false)) => done.given_up += 1,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a rename could not be reconciled"),
        }
    }
    for pending in claims::pending_before(&write.pool, IndexKind::Email, None, before, ROUND).await? {
        match address_claims::end(write, &pending).await {
            Ok(Some(true)) => done.settled += 1,
            Ok(Some(false)) => done.given_up += 1,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a change of address could not be reconciled"),
        }
    }
    for (avatar, account) in avatar_uploads::begun_before(&write.pool, write.now() - UPLOAD_AT_REST, ROUND).await? {
        match end_upload(write, account, avatar).await {
            Ok(swept) => done.swept += usize::from(swept),
            Err(error) => tracing::warn!(%error, "an upload could not be swept"),
        }
    }
    avatar_tickets::remove_expired(&write.pool, write.now(), ROUND).await?;
    claims::remove_free(&write.pool, write.now(), ROUND).await?;
    write.quarantine.expire(&write.pool, write.now(), ROUND).await?;
    bonus_marks::remove_expired(&write.pool, write.now(), ROUND).await?;
    Ok(done)
}

/// Removes the objects of an upload unless they are the account's avatar; one that was, and is no more, is gone already.
async fn end_upload(write: &WriteSide, account: AccountId, avatar: AvatarId) -> Result<bool, UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    let shown = loaded.state.avatar().is_some_and(|Avatar { avatar_id, .. }| *avatar_id == avatar);
    if !shown {
        write.ports.media.delete_avatar(account, avatar).await.map_err(|error| {
            tracing::warn!(%error, "objects of an upload could not be removed");
            crate::CommandError::Unavailable
        })?;
    }
    avatar_uploads::end(&write.pool, avatar).await?;
    Ok(!shown)
}
