//! An avatar's upload: ticket, bytes, squares, objects, event (A04-A06, sec.U3). The edge reads the bytes between [`UploadAvatar::begin`]
//! and [`BegunUpload::finish`].
//!
//! What happens when the process dies: after the ticket was taken, it counts again when its use has run out (two minutes) until it
//! expires; after the row of `avatar_uploads` or any of the objects, before the event, the sweep of `profile_upkeep` removes them an
//! hour later, and the ticket may be used up: its owner asks for another. After the event, the sweep finds that the objects are named
//! and removes the row alone. The avatar before it is removed by `AvatarKeeper`, which the event reaches for certain.

use atelier_domain::account::{Account, AccountCommand, Avatar};
use atelier_domain::{AccountId, AvatarId};
use atelier_vault::credential_rows::avatar_tickets::{self, Presented};
use atelier_vault::credential_rows::avatar_uploads;
use atelier_vault::{SecretDigest, UploadTicket};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::ports::{AVATAR_MEDIA_TYPE, AvatarImageError, AvatarKey, AvatarSquare};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// How long one use of a ticket may take, from its first byte to the event; after that another may begin.
pub const USE_LASTS: TimeDelta = TimeDelta::minutes(2);
/// How long after it began an upload may still become an event: far below the age at which the sweep takes its objects.
const EVENT_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// Uploads an avatar by a ticket.
#[derive(Debug, Clone)]
pub struct UploadAvatar {
    /// The ticket, as it was presented.
    pub ticket: String,
    /// Who is signed in besides, if anybody: a ticket is its own account's only.
    pub caller: Option<AccountId>,
}

/// An upload that may go on: nobody else uploads by its ticket meanwhile.
#[derive(Debug)]
pub struct BegunUpload {
    digest: SecretDigest,
    account: AccountId,
    in_use_until: DateTime<Utc>,
}

/// An avatar that is shown from now on.
#[derive(Debug, Clone)]
pub struct UploadedAvatar {
    /// Whose.
    pub account: AccountId,
    /// The avatar.
    pub avatar: Avatar,
    /// The position to read from.
    pub position: Position,
}

fn void_ticket() -> UseCaseError {
    Refusal::new(RefusalCode::InvalidToken, "This upload link is not valid any more; ask for another.").into()
}

impl UploadAvatar {
    /// Takes the ticket for this upload.
    ///
    /// # Errors
    /// `invalid_token` when it is unknown, used up, expired or another account's; `not_possible_now` while it is in use.
    pub async fn begin(self, write: &WriteSide) -> Result<BegunUpload, UseCaseError> {
        let ticket = UploadTicket::parse(&self.ticket).map_err(|_| void_ticket())?;
        let digest = write.secrets.upload(&ticket);
        let now = write.now();
        let in_use_until = now + USE_LASTS;
        match avatar_tickets::take(&write.pool, &digest, now, in_use_until).await? {
            Presented::Usable(account) => {
                let begun = BegunUpload { digest, account, in_use_until };
                if self.caller.is_some_and(|caller| caller != account) {
                    begun.put_back(write).await;
                    return Err(void_ticket());
                }
                Ok(begun)
            }
            Presented::InUse => {
                let message = "An upload by this link is going on.";
                Err(Refusal::new(RefusalCode::NotPossibleNow, message).into())
            }
            Presented::Void => Err(void_ticket()),
        }
    }
}

impl BegunUpload {
    /// Whose avatar it will be.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Ends an upload that came to nothing: the ticket counts as before.
    pub async fn put_back(self, write: &WriteSide) {
        if let Err(error) = avatar_tickets::put_back(&write.pool, &self.digest, self.in_use_until).await {
            tracing::warn!(%error, "an upload's ticket counts again only in two minutes");
        }
    }

    /// Makes the uploaded bytes the account's avatar.
    ///
    /// # Errors
    /// `invalid_image`, which leaves the ticket as it was; `invalid_token` when it ended meanwhile.
    pub async fn finish(
        self,
        write: &WriteSide,
        context: &CommandContext,
        upload: Bytes,
    ) -> Result<UploadedAvatar, UseCaseError> {
        let squares = match write.ports.avatars.squares(upload).await {
            Ok(squares) => squares,
            Err(error) => {
                self.put_back(write).await;
                return Err(match error {
                    AvatarImageError::Refused(why) => Refusal::new(RefusalCode::InvalidImage, why).into(),
                    AvatarImageError::Busy => CommandError::Unavailable,
                    AvatarImageError::Failed(cause) => CommandError::Internal(cause),
                });
            }
        };
        let (begun_at, avatar_id) = (write.now(), AvatarId(write.fresh_id()));
        avatar_uploads::begin(&write.pool, avatar_id, self.account, begun_at).await?;
        let avatar = self.store(write, avatar_id, squares).await?;
        // Used up by whoever comes here first, and before the event: one ticket makes one avatar at most.
        if !avatar_tickets::use_up(&write.pool, &self.digest).await? || write.now() > begun_at + EVENT_WITHIN {
            self.discard(write, avatar_id).await;
            return Err(void_ticket());
        }
        let command = |_| AccountCommand::SetAvatar { avatar: avatar.clone() };
        let executed = write.path.execute::<Account>(&account_target(self.account), context, None, command).await;
        match executed {
            Ok(executed) => {
                // What is left of a row when this fails, the sweep removes.
                let _ = avatar_uploads::end(&write.pool, avatar_id).await;
                Ok(UploadedAvatar { account: self.account, avatar, position: executed.position() })
            }
            Err(error) => {
                if matches!(error, CommandError::Refused(_)) {
                    self.discard(write, avatar_id).await;
                }
                Err(error.map(Refusal::from))
            }
        }
    }

    async fn store(
        &self,
        write: &WriteSide,
        avatar: AvatarId,
        squares: Vec<AvatarSquare>,
    ) -> Result<Avatar, UseCaseError> {
        let sizes = squares.iter().map(|square| square.edge).collect();
        for AvatarSquare { edge, bytes } in squares {
            let key = AvatarKey { account: self.account, avatar, edge };
            if let Err(error) = write.ports.media.put_avatar(key, bytes).await {
                tracing::error!(%error, "an avatar could not be stored");
                return Err(CommandError::Unavailable);
            }
        }
        Ok(Avatar { avatar_id: avatar, media_type: AVATAR_MEDIA_TYPE.to_owned(), sizes })
    }

    /// Removes what was stored of an avatar that no event will name; what it cannot remove now, the sweep does.
    async fn discard(&self, write: &WriteSide, avatar: AvatarId) {
        if write.ports.media.delete_avatar(self.account, avatar).await.is_ok() {
            let _ = avatar_uploads::end(&write.pool, avatar).await;
        }
    }
}
