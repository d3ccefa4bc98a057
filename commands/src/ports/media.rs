//! The store of outputs, avatars and copies of everything: where each object is kept, and what can be done with it.

use std::ops::Range;

use async_trait::async_trait;
use atelier_domain::{AccountId, AvatarId, ExportId, GenerationId};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::GatewayError;

/// Where an output is kept: `account/generation/attempt/index` (DESIGN 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaKey {
    /// Whose it is; erasure removes this prefix.
    pub account: AccountId,
    /// The job.
    pub generation: GenerationId,
    /// The attempt that made it, from 1.
    pub attempt: u32,
    /// Which of the job's outputs, from 0.
    pub index: u32,
    /// The file's extension, without the dot: one to eight lower-case letters and digits.
    pub extension: String,
}

impl MediaKey {
    /// The object's path.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { account, generation, attempt, index, extension } = self;
        format!("{account}/{generation}/{attempt}/{index}.{extension}")
    }
}

/// The media type of every avatar: squares are encoded anew as this, whatever was uploaded.
pub const AVATAR_MEDIA_TYPE: &str = "image/png";

/// Where one square of an avatar is kept: `account/avatar/<avatar>/<edge>.png`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvatarKey {
    /// Whose it is; erasure removes this prefix.
    pub account: AccountId,
    /// The upload.
    pub avatar: AvatarId,
    /// Pixels.
    pub edge: u32,
}

impl AvatarKey {
    /// The object's path.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { account, avatar, edge } = self;
        format!("{account}/avatar/{avatar}/{edge}.png")
    }
}

/// Where a copy of everything an account has is kept: `account/exports/<export>/data.zip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportKey {
    /// Whose it is; erasure removes this prefix.
    pub account: AccountId,
    /// Which copy.
    pub export: ExportId,
}

impl ExportKey {
    /// The folder that it has for itself, so that what a killed write left goes with it.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}/exports/{}", self.account, self.export)
    }

    /// The object's path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/data.zip", self.folder())
    }
}

/// An object that is too big for memory, piece by piece. An error is the last piece: what came before it is no whole object.
pub type Pieces = BoxStream<'static, Result<Bytes, GatewayError>>;

/// The largest object that is read into memory whole, bytes; outputs and avatars are no larger.
pub const MAX_WHOLE_BYTES: u64 = 64 * 1024 * 1024;

/// An object of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaObject {
    /// An output, by the path that its event says.
    Output(String),
    /// A square of an avatar.
    Avatar(AvatarKey),
    /// A copy of everything.
    Export(ExportKey),
}

/// What is known of an object before any of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// When it was written; an object that is written again has another instant.
    pub written_at: DateTime<Utc>,
}

/// What objects are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A job's outputs.
    Generation(GenerationId),
    /// An avatar.
    Avatar(AvatarId),
    /// A copy of everything.
    Export(ExportId),
}

impl Thing {
    /// Its id as events have it.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Generation(id) => id.to_string(),
            Self::Avatar(id) => id.to_string(),
            Self::Export(id) => id.to_string(),
        }
    }
}

/// Objects one after the other: whose each is, what it is of, and when it was written.
pub type Things = BoxStream<'static, Result<(AccountId, Thing, DateTime<Utc>), GatewayError>>;

/// Keeps outputs, avatars and copies of everything.
#[async_trait]
pub trait MediaStore: Send + Sync + 'static {
    /// Stores an object; storing the same bytes again is harmless.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<(), GatewayError>;

    /// Looks for an object; `None` when there is none.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn find(&self, object: &MediaObject) -> Result<Option<Stored>, GatewayError>;

    /// Reads some bytes of an object, piece by piece and no sooner than they are asked for; `None` when there is none. The range must lie
    /// within the object: an object that turns out to be shorter ends with an error.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn read(&self, object: &MediaObject, range: Range<u64>) -> Result<Option<Pieces>, GatewayError>;

    /// Reads a whole object into memory; `None` when there is none.
    ///
    /// # Errors
    /// When the store is unavailable; `Refused` above [`MAX_WHOLE_BYTES`].
    async fn get(&self, object: &MediaObject) -> Result<Option<Bytes>, GatewayError> {
        let Some(Stored { bytes, .. }) = self.find(object).await? else { return Ok(None) };
        if bytes > MAX_WHOLE_BYTES {
            return Err(GatewayError::Refused(format!("an object of {bytes} bytes is too large")));
        }
        let Some(mut pieces) = self.read(object, 0..bytes).await? else { return Ok(None) };
        let mut whole = BytesMut::with_capacity(usize::try_from(bytes).unwrap_or_default());
        while let Some(piece) = pieces.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    }

    /// Removes every object of a generation. Removing what is gone is harmless.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn delete_generation(&self, account: AccountId, generation: GenerationId) -> Result<(), GatewayError>;

    /// Stores one square of an avatar; storing the same bytes again is harmless.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn put_avatar(&self, key: AvatarKey, bytes: Bytes) -> Result<(), GatewayError>;

    /// Removes every square of an avatar. Removing what is gone is harmless.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn delete_avatar(&self, account: AccountId, avatar: AvatarId) -> Result<(), GatewayError>;

    /// Stores a copy of everything, as it arrives; it is there whole or not at all. Its size in bytes.
    ///
    /// # Errors
    /// When the store is unavailable, or the pieces end with an error.
    async fn put_export(&self, key: ExportKey, pieces: Pieces) -> Result<u64, GatewayError>;

    /// Removes a copy, and what half of one was left. Removing what is gone is harmless.
    ///
    /// # Errors
    /// When the store is unavailable.
    async fn delete_export(&self, key: ExportKey) -> Result<(), GatewayError>;

    /// Everything in the store, object by object, in no order. An object of another form is left out.
    fn things(&self) -> Things;

    /// Removes everything of an account, however much it is (A37). Removing what is gone is harmless.
    ///
    /// # Errors
    /// When the store is unavailable: then it is to be called again, and goes on where it was.
    async fn delete_account(&self, account: AccountId) -> Result<(), GatewayError>;
}
