//! Avatars: a ticket to upload one by HTTP, and its removal (A04-A06).

use async_graphql::{Context, Object, Result, SimpleObject};
use atelier_commands::use_cases::{RemoveAvatar, RequestAvatarUpload};
use atelier_domain::policy::account::AVATAR_BYTES;
use chrono::{DateTime, Utc};

use super::profile::me_at;
use crate::Sides;
use crate::caller::signed_in;
use crate::me::Me;
use crate::number::Long;
use crate::once::Once;
use crate::payload::{outcome, payload};

/// The media types of avatars, as `AvatarImages` reads them.
const ACCEPTS: [&str; 6] = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"];

/// The mutations of this room.
#[derive(Default)]
pub struct AvatarMutation;

/// Where to upload an avatar to, once.
#[derive(SimpleObject)]
pub struct AvatarUpload {
    /// `PUT` the file here as the whole body; its answer has the new links. An upload that is refused may be tried again by the same link.
    url: String,
    /// Until when.
    expires_at: DateTime<Utc>,
    /// The most bytes of a file: 5 MiB.
    max_bytes: Long,
    /// The media types that are read; the first frame of a GIF, the first page of a TIFF. What a file is, its bytes decide.
    accepts: Vec<String>,
}

payload! {
    /// Where to upload an avatar to.
    RequestAvatarUploadPayload {
        /// The place; shown once.
        upload: AvatarUpload,
    }
}

payload! {
    /// The account after the change.
    RemoveAvatarPayload {
        /// The account.
        me: Result<Me>,
    }
}

#[Object]
impl AvatarMutation {
    /// Asks for a place to upload an avatar to. It is shown as soon as it is uploaded, without anything to save (A06).
    async fn request_avatar_upload(&self, context: &Context<'_>) -> Result<RequestAvatarUploadPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        Ok(match outcome(RequestAvatarUpload { account }.run(&sides.write).await)? {
            Ok(place) => {
                let accepts = ACCEPTS.map(str::to_owned).to_vec();
                let upload = AvatarUpload {
                    url: place.url,
                    expires_at: place.expires_at,
                    max_bytes: Long::of(AVATAR_BYTES),
                    accepts,
                };
                RequestAvatarUploadPayload { upload: Some(upload), ..Default::default() }
            }
            Err(error) => RequestAvatarUploadPayload::refused(error),
        })
    }

    /// Shows no avatar any more; its links end.
    async fn remove_avatar(&self, context: &Context<'_>) -> Result<RemoveAvatarPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let once = Once::of(context)?;
        Ok(match once.at(context, RemoveAvatar { account }.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                RemoveAvatarPayload {
                    me: me_at(context, &position).await,
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => RemoveAvatarPayload::refused(error),
        })
    }
}
