//! The root of all queries.

use async_graphql::{Context, ID, Interface, Object, Result, SimpleObject};
use atelier_domain::policy::catalogue;
use atelier_projections::models::{creations, explore, profile};

use crate::Sides;
use crate::audit::{Audit, audit};
use crate::caller::{account, signed_in, viewer};
use crate::connection::GenerationConnection;
use crate::creator::{Creator, Makers, published};
use crate::generation::{Generation, MediaType};
use crate::global_id::GlobalId;
use crate::me::Me;
use crate::number::int;
use crate::reading::{QUERY, Reading};
use crate::sign_up::{SignUpOptions, UsernameAvailability, availability};

/// The root of all queries.
pub struct Query;

/// Anything with an id of its own.
#[derive(Clone, Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "The thing's id."))]
pub enum Node {
    /// A generation.
    Generation(Box<Generation>),
    /// A creator.
    Creator(Box<Creator>),
    /// The signed-in account.
    Me(Box<Me>),
}

/// A model of the catalogue, with its price.
#[derive(SimpleObject)]
pub struct Model {
    /// The name that requests use.
    id: String,
    /// What it makes.
    media_type: MediaType,
    /// Credits for one output.
    price: i32,
    /// Which price list that is.
    price_version: i32,
    /// How long one output usually takes.
    typical_seconds: i32,
    /// The least and greatest width and height, pixels.
    min_side: i32,
    /// Pixels.
    max_side: i32,
    /// The most outputs of one request.
    max_images: i32,
}

#[Object]
impl Query {
    /// The signed-in account; null when nobody is signed in. A credential that does not count, or no longer, is `UNAUTHENTICATED`.
    async fn me(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Not older than this position, as a mutation gave it.")] min_position: Option<String>,
    ) -> Option<Result<Me>> {
        let answer = async {
            let Some(account) = viewer(context)? else { return Ok(None) };
            Ok(Some(Me::new(account, Reading::begin(context, QUERY, min_position.as_deref()).await?)))
        };
        answer.await.transpose()
    }

    /// What auditors read. Needs the role and a second factor that is on; for everybody else, whatever they ask for, it is `FORBIDDEN`.
    async fn audit(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Not older than this position.")] min_position: Option<String>,
    ) -> Option<Result<Audit>> {
        Some(audit(context, min_position.as_deref()).await)
    }

    /// A creator's public profile; null when there is none of this name, or its owner does not show it (its owner sees it still). A
    /// name that was given up less than 90 days ago finds its account: `username` is then another one than was asked for, and a client
    /// goes on to that (U29).
    async fn creator(
        &self,
        context: &Context<'_>,
        username: String,
        #[graphql(desc = "Not older than this position.")] min_position: Option<String>,
    ) -> Option<Result<Creator>> {
        let answer = async {
            let reading = Reading::begin(context, QUERY, min_position.as_deref()).await?;
            let now = context.data::<Sides>()?.write.now();
            let found = reading.read(async |snapshot| profile::account_of(snapshot, &username, now).await).await?;
            match found {
                Some(account) => Makers::one(context, &reading, account).await,
                None => Ok(None),
            }
        };
        answer.await.transpose()
    }

    /// What creators published, newest first.
    async fn explore(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only images, videos or audio.")] media_type: Option<MediaType>,
        #[graphql(desc = "Only one model.")] model: Option<String>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
        #[graphql(desc = "Not older than this position.")] min_position: Option<String>,
    ) -> Option<Result<GenerationConnection>> {
        let answer = async {
            let reading = Reading::begin(context, QUERY, min_position.as_deref()).await?;
            let filter = explore::ExploreFilter {
                creator: None,
                media_type: media_type.map(Into::into),
                model: model.as_deref(),
            };
            published(context, &reading, filter, first, after.as_deref()).await
        };
        Some(answer.await)
    }

    /// A generation: one's own, or a published one; null otherwise.
    async fn generation(
        &self,
        context: &Context<'_>,
        id: ID,
        #[graphql(desc = "Not older than this position.")] min_position: Option<String>,
    ) -> Option<Result<Generation>> {
        let answer = async {
            let Some(id) = GlobalId::generation(&id) else { return Ok(None) };
            let reading = Reading::begin(context, QUERY, min_position.as_deref()).await?;
            generation(context, &reading, id).await
        };
        answer.await.transpose()
    }

    /// Anything that has an id and that the caller may see; null otherwise.
    async fn node(&self, context: &Context<'_>, id: ID) -> Option<Result<Node>> {
        let answer = async {
            Ok(match GlobalId::parse(&id) {
                Some(GlobalId::Generation(id)) => {
                    let reading = Reading::begin_as(context, QUERY, "generation", None).await?;
                    generation(context, &reading, id).await?.map(|found| Node::Generation(Box::new(found)))
                }
                Some(GlobalId::Account(id)) if account(context) == Some(id) => {
                    Some(Node::Me(Box::new(Me::new(id, Reading::begin_as(context, QUERY, "me", None).await?))))
                }
                Some(GlobalId::Creator(id)) => {
                    let reading = Reading::begin_as(context, QUERY, "creator", None).await?;
                    let found = Makers::one(context, &reading, id).await?;
                    found.map(|found| Node::Creator(Box::new(found)))
                }
                Some(
                    GlobalId::Account(_)
                    | GlobalId::ApiKey(_)
                    | GlobalId::Session(_)
                    | GlobalId::Notice(_)
                    | GlobalId::Identity(_)
                    | GlobalId::Export(_),
                )
                | None => None,
            })
        };
        answer.await.transpose()
    }

    /// What a sign-up screen needs to know: whether Google is on offer, and the rules for the fields.
    async fn sign_up_options(&self, context: &Context<'_>) -> Result<SignUpOptions> {
        Ok(SignUpOptions::of(&context.data::<Sides>()?.write))
    }

    /// Whether a username is free, for a screen that asks while a person types. A client may ask sixty times at once, then every three
    /// seconds.
    async fn username_availability(
        &self,
        context: &Context<'_>,
        username: String,
    ) -> Option<Result<UsernameAvailability>> {
        Some(availability(context, username).await)
    }

    /// The models on offer, cheapest first.
    async fn models(&self) -> Vec<Model> {
        let model = |model: &catalogue::Model| Model {
            id: model.id.to_owned(),
            media_type: model.media_type.into(),
            price: int(model.price.get()),
            price_version: int(catalogue::PRICE_VERSION),
            typical_seconds: int(model.typical_seconds),
            min_side: int(catalogue::MIN_SIDE),
            max_side: int(catalogue::MAX_SIDE),
            max_images: int(catalogue::MAX_IMAGES),
        };
        catalogue::MODELS.iter().map(model).collect()
    }
}

/// A generation as the caller may see it: whole for its owner, its public side once it is published, else not at all.
pub(crate) async fn generation(
    context: &Context<'_>,
    reading: &Reading,
    id: atelier_domain::GenerationId,
) -> Result<Option<Generation>> {
    let viewer = account(context);
    let Some(found) = reading.read(async |snapshot| creations::find(snapshot, id, viewer).await).await? else {
        return Ok(None);
    };
    let makers = Makers::of(reading, [found.account]);
    if signed_in(context).is_ok_and(|(account, _)| account == found.account) {
        return Ok(Some(Generation::whole(context, found, &makers)?));
    }
    if !found.published {
        return Ok(None);
    }
    let public = explore::ExploreView {
        generation: found.generation,
        creator: found.account,
        model: found.model,
        media_type: found.media_type,
        prompt: found.prompt,
        width: found.width,
        height: found.height,
        outputs: found.outputs,
        published_at: found.ended_at.unwrap_or(found.requested_at),
    };
    Ok(Some(Generation::public_side(context, public, &makers)?))
}
