//! A generation, as its owner sees it and as everybody sees it once it is published.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, Result, SimpleObject};
use atelier_commands::media_link;
use atelier_domain::generation::{Output, Status};
use atelier_domain::policy::catalogue;
use atelier_domain::{AccountId, GenerationId};
use atelier_projections::models::creations::CreationView;
use atelier_projections::models::explore::ExploreView;
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::creator::{Creator, Makers};
use crate::global_id::GlobalId;
use crate::number::{Long, int};

/// What a generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "catalogue::MediaType")]
pub enum MediaType {
    /// A picture.
    Image,
    /// A moving picture.
    Video,
    /// Sound.
    Audio,
}

/// Where a generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum GenerationStatus {
    /// Accepted, waiting.
    Queued,
    /// At work.
    Running,
    /// Delivered.
    Succeeded,
    /// Not delivered; nothing was charged.
    Failed,
    /// Withdrawn; nothing was charged.
    Cancelled,
}

impl From<Status> for GenerationStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::New | Status::Queued => Self::Queued,
            Status::Running => Self::Running,
            Status::Succeeded => Self::Succeeded,
            Status::Failed | Status::Abandoned => Self::Failed,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// One delivered file.
#[derive(Debug, Clone, SimpleObject)]
pub struct Image {
    /// A link that works for one to two hours, for anybody who has it, and not after the deletion. It stays the same for an hour of the clock; ask
    /// again for a fresh one.
    url: String,
    /// Such as `image/png`; by its bytes.
    content_type: String,
    /// Pixels.
    width: i32,
    /// Pixels.
    height: i32,
    /// Size in bytes.
    bytes: Long,
}

/// A generation. What only its owner may see is null for everybody else.
#[derive(Clone, SimpleObject)]
#[graphql(complex)]
pub struct Generation {
    /// The id: the same as `request_id` in REST.
    pub id: ID,
    /// Where it is.
    status: GenerationStatus,
    /// The model.
    model: String,
    /// What it is.
    media_type: MediaType,
    /// The prompt; null once it is erased.
    prompt: Option<String>,
    /// Pixels.
    width: i32,
    /// Pixels.
    height: i32,
    /// The delivered files.
    images: Vec<Image>,
    /// Whether it is in Explore.
    published: bool,
    /// When it was accepted, for its owner; when it was published, for everybody else.
    pub(crate) created_at: DateTime<Utc>,
    /// When it ended; for its owner.
    ended_at: Option<DateTime<Utc>>,
    /// How many files were asked for; for its owner.
    num_images: Option<i32>,
    /// The seed; for its owner (U48).
    seed: Option<Long>,
    /// Credits held for it at acceptance; for its owner.
    price: Option<i32>,
    /// Credits paid, once that is settled; for its owner.
    credits_used: Option<i32>,
    /// Why it failed; for its owner.
    failure: Option<String>,
    #[graphql(skip)]
    maker: AccountId,
    #[graphql(skip)]
    makers: Arc<Makers>,
}

#[ComplexObject]
impl Generation {
    /// Who made it; null when they do not show their profile.
    async fn creator(&self, context: &Context<'_>) -> Option<Result<Creator>> {
        self.makers.creator(context, self.maker).await.transpose()
    }
}

fn images(context: &Context<'_>, generation: GenerationId, outputs: Vec<Output>) -> Result<Vec<Image>> {
    let sides = context.data::<Sides>()?;
    let image = |(index, output): (u32, Output)| Image {
        url: media_link::url(&sides.write, generation, index),
        content_type: output.media_type,
        width: int(output.width),
        height: int(output.height),
        bytes: Long::of(output.bytes),
    };
    Ok((0..).zip(outputs).map(image).collect())
}

impl Generation {
    pub(crate) fn whole(context: &Context<'_>, view: CreationView, makers: &Arc<Makers>) -> Result<Self> {
        Ok(Self {
            id: GlobalId::Generation(view.generation).into(),
            status: view.status.into(),
            model: view.model,
            media_type: view.media_type.into(),
            prompt: view.prompt,
            width: int(view.width),
            height: int(view.height),
            images: images(context, view.generation, view.outputs)?,
            published: view.published,
            created_at: view.requested_at,
            ended_at: view.ended_at,
            num_images: Some(int(view.num_images)),
            seed: Some(Long::of(view.seed)),
            price: Some(int(view.price.get())),
            credits_used: view.captured.map(|captured| int(captured.get())),
            failure: view.failure.map(|reason| reason.as_str().to_owned()),
            maker: view.account,
            makers: makers.clone(),
        })
    }

    pub(crate) fn public_side(context: &Context<'_>, view: ExploreView, makers: &Arc<Makers>) -> Result<Self> {
        Ok(Self {
            id: GlobalId::Generation(view.generation).into(),
            status: GenerationStatus::Succeeded,
            model: view.model,
            media_type: view.media_type.into(),
            prompt: view.prompt,
            width: int(view.width),
            height: int(view.height),
            images: images(context, view.generation, view.outputs)?,
            published: true,
            created_at: view.published_at,
            ended_at: None,
            num_images: None,
            seed: None,
            price: None,
            credits_used: None,
            failure: None,
            maker: view.creator,
            makers: makers.clone(),
        })
    }
}
