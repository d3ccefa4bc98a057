//! The ports of the outside world: what the write side needs of it, in its own words. The adapters live in `gateways`.

mod media;
mod sign_in_elsewhere;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::AccountId;
use atelier_vault::RandomBytes;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use media::{
    AVATAR_MEDIA_TYPE, AvatarKey, ExportKey, MAX_WHOLE_BYTES, MediaKey, MediaObject, MediaStore, Pieces, Stored, Thing,
    Things,
};
pub use sign_in_elsewhere::{Departure, ElsewhereError, Interaction, ProvenIdentity, SignInElsewhere};

/// Where time comes from. Rules and ids use only this, so any test can replay.
pub trait Clock: Send + Sync + 'static {
    /// The current instant, UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// A fresh UUIDv7 for the given instant.
#[must_use]
pub fn fresh_id(random: &dyn RandomBytes, now: DateTime<Utc>) -> Uuid {
    let mut bytes = [0_u8; 10];
    random.fill(&mut bytes);
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// A mail ready to be sent.
#[derive(Clone)]
pub struct Mail {
    /// Stable across redeliveries of the same message, so that a receiver can drop a repeat.
    pub message_id: String,
    /// Whose it is: a mailer that keeps mails forgets them with the account. It is sent to nobody.
    pub account: AccountId,
    /// Whether the account is deleted by now: a mailer that keeps mails keeps this one without its address.
    pub last: bool,
    /// The recipient's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The same as HTML; nothing in it is fetched from elsewhere.
    pub html: String,
    /// Where one POST ends every mail of this kind (RFC 8058), if its kind can be ended that way.
    pub unsubscribe: Option<String>,
    /// When the message was decided.
    pub date: DateTime<Utc>,
}

/// A collaborator outside failed. What it says is kept beside the work and logged: nothing personal.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It may do it later: the work is tried again.
    #[error("{0}")]
    Unavailable(String),
    /// It never will, however often it is asked: the work ends, with a record.
    #[error("refused for good: {0}")]
    Refused(String),
    /// A mail's recipient is refused for good: the address's fault, and nothing that whoever operates the studio could mend. The work ends.
    #[error("the recipient is refused for good: {0}")]
    Recipient(String),
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Sends one mail; sending the same `message_id` again must not show twice.
    ///
    /// # Errors
    /// When it could not be handed over; the outbox tries again, unless it or its recipient was refused for good.
    async fn send(&self, mail: Mail) -> Result<(), GatewayError>;

    /// Forgets the mails of an account, and any others to its address. A mailer that keeps none has nothing to do.
    ///
    /// # Errors
    /// When it could not; it is to be tried again.
    async fn forget(&self, account: AccountId, address: Option<&str>) -> Result<(), GatewayError> {
        let _ = (account, address);
        Ok(())
    }
}

/// What to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderRequest {
    /// The catalogue's model name.
    pub model: String,
    /// The prompt, open.
    pub prompt: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The seed: same input, same bytes.
    pub seed: u64,
}

/// One finished output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The encoded file.
    pub bytes: Bytes,
    /// Its media type, by its bytes; kept and served in its canonical form (`media_types`).
    pub media_type: &'static str,
}

/// A model did not deliver.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// It never will: the job fails, or ends with the outputs it has. The code is counted and logged, so it names nothing personal.
    #[error("the model refused: {0}")]
    Refused(&'static str),
    /// It may later: the job is tried again.
    #[error("the model is unavailable: {0}")]
    Unavailable(String),
}

/// Runs a model.
#[async_trait]
pub trait Generator: Send + Sync + 'static {
    /// Draws one output, off the async threads.
    ///
    /// # Errors
    /// When the model refused or is unavailable.
    async fn render(&self, request: RenderRequest) -> Result<Rendered, RenderError>;
}

/// Knows roughly where network addresses are (U38).
pub trait Places: Send + Sync + 'static {
    /// The country, with the city where it is known, in English; `None` when nothing is known. Quick: no network, no disk.
    fn place(&self, address: IpAddr) -> Option<String>;
}

/// One square of an avatar, ready to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarSquare {
    /// Pixels.
    pub edge: u32,
    /// The encoded file, [`AVATAR_MEDIA_TYPE`].
    pub bytes: Bytes,
}

/// An upload did not become an avatar.
#[derive(Debug, thiserror::Error)]
pub enum AvatarImageError {
    /// It never will; the sentence is for its owner.
    #[error("{0}")]
    Refused(String),
    /// Too many are being made at this moment.
    #[error("too many images are being read at this moment")]
    Busy,
    /// A fault of ours.
    #[error("an image could not be made: {0}")]
    Failed(String),
}

/// Makes avatars of uploads (sec.U3): reads what a stranger sent, within bounds, and keeps nothing of it but pixels.
#[async_trait]
pub trait AvatarImages: Send + Sync + 'static {
    /// The squares of an upload, one for each of `AVATAR_EDGES`, off the async threads.
    ///
    /// # Errors
    /// `Refused` when it is no image that is accepted, or too large to read; `Busy`; `Failed`.
    async fn squares(&self, upload: Bytes) -> Result<Vec<AvatarSquare>, AvatarImageError>;
}

/// The outside world, as the composition root hangs it together.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness and ids.
    pub random: Arc<dyn RandomBytes>,
    /// Mail.
    pub mailer: Arc<dyn Mailer>,
    /// Models.
    pub generator: Arc<dyn Generator>,
    /// Outputs and avatars.
    pub media: Arc<dyn MediaStore>,
    /// Google's sign-in, where it is configured (A16).
    pub google: Option<Arc<dyn SignInElsewhere>>,
    /// Coarse places.
    pub places: Arc<dyn Places>,
    /// Uploads made into avatars.
    pub avatars: Arc<dyn AvatarImages>,
}
