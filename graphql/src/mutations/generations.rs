//! Requesting, cancelling and deleting generations.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{CancelGeneration, DeleteGeneration, RequestGeneration};
use atelier_domain::{Environment, GenerationId};

use crate::Sides;
use crate::caller::{command_context, signed_in};
use crate::connection::GenerationEdge;
use crate::generation::Generation;
use crate::global_id;
use crate::number::Long;
use crate::once::{mark_repeat, sent_key};
use crate::payload::{outcome, payload};
use crate::query::generation;
use crate::reading::{MUTATION, Reading};

/// The mutations of this room.
#[derive(Default)]
pub struct GenerationMutation;

/// What `requestGeneration` takes.
#[derive(InputObject)]
pub struct RequestGenerationInput {
    /// What to draw, up to 4,000 characters.
    prompt: String,
    /// A model of the catalogue; see `models`.
    model: String,
    /// Pixels, 64-2048; 1024 when not given.
    width: Option<i32>,
    /// Pixels, 64-2048; 1024 when not given.
    height: Option<i32>,
    /// 1-4; 1 when not given. Each costs the model's full price.
    num_images: Option<i32>,
    /// 0 to 2^32-1; chosen when not given.
    seed: Option<Long>,
    /// Refuse if dearer than this.
    max_credits: Option<i32>,
    /// `false` keeps it out of Explore and needs a premium plan.
    publish: Option<bool>,
    /// 1-200 of `A-Z a-z 0-9 . _ : -`: a repeat with the same key and the same input is the same job, paid once.
    idempotency_key: Option<String>,
}

payload! {
    /// The job: its price is held, and its outputs follow.
    RequestGenerationPayload {
        /// The job, as it now is.
        generation: Result<Generation>,
        /// The same with its cursor in `me { creations }`.
        generation_edge: Result<GenerationEdge>,
        /// Whether an earlier request with the same idempotency key had made it.
        repeated: bool,
    }
}

/// What `cancelGeneration` takes.
#[derive(InputObject)]
pub struct CancelGenerationInput {
    /// The job.
    id: ID,
    /// 1-200 of `A-Z a-z 0-9 . _ : -`: a repeat with the same key is the same withdrawal.
    idempotency_key: Option<String>,
}

payload! {
    /// The job is withdrawn, and its credits come back.
    CancelGenerationPayload {
        /// The job, as it now is.
        generation: Result<Generation>,
        /// Whether an earlier request with the same idempotency key had withdrawn it.
        repeated: bool,
    }
}

/// What `deleteGeneration` takes.
#[derive(InputObject)]
pub struct DeleteGenerationInput {
    /// The job.
    id: ID,
}

payload! {
    /// The job is gone from history, feed and profile; the credit history keeps its line.
    DeleteGenerationPayload {
        /// The id of what is gone.
        deleted_id: ID,
    }
}

/// A number that must not be negative: one that is, is as far out of range as can be, which its rule refuses by name.
fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The job as it is at a position, if the payload shows it. What was done stands all the same when it cannot be read.
async fn job_at(context: &Context<'_>, id: GenerationId, position: &str) -> Option<Result<GenerationEdge>> {
    let shown = |field| context.look_ahead().field(field).exists();
    if !shown("generation") && !shown("generationEdge") {
        return None;
    }
    let answer = async {
        let reading = Reading::begin(context, MUTATION, Some(position)).await?;
        let found = generation(context, &reading, id).await?;
        Ok(found.map(|found| GenerationEdge::new(reading.cursor(found.created_at, id.0), found)))
    };
    answer.await.transpose()
}

#[Object]
impl GenerationMutation {
    /// Requests a generation: its price is held, and the job is accepted.
    async fn request_generation(
        &self,
        context: &Context<'_>,
        input: RequestGenerationInput,
    ) -> Result<RequestGenerationPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let idempotency_key = match sent_key(context, input.idempotency_key) {
            Ok(key) => key,
            Err(refusal) => return Ok(RequestGenerationPayload::refused(refusal)),
        };
        let use_case = RequestGeneration {
            account,
            environment: Environment::Live,
            api_key: None,
            prompt: input.prompt,
            model: input.model,
            width: input.width.map(count),
            height: input.height.map(count),
            num_images: input.num_images.map(count),
            seed: input.seed.map(|seed| u64::try_from(seed.get()).unwrap_or(u64::MAX)),
            max_credits: input.max_credits.map(i64::from),
            publish: input.publish,
            idempotency_key,
        };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(accepted) => {
                mark_repeat(context, accepted.repeated);
                let position = sides.read.token(accepted.position);
                let edge = job_at(context, accepted.generation, &position).await;
                RequestGenerationPayload {
                    generation: edge.clone().map(|edge| edge.map(|edge| edge.node)),
                    generation_edge: edge,
                    repeated: Some(accepted.repeated),
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => RequestGenerationPayload::refused(error),
        })
    }

    /// Withdraws a job before delivery; nothing is charged.
    async fn cancel_generation(
        &self,
        context: &Context<'_>,
        input: CancelGenerationInput,
    ) -> Result<CancelGenerationPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let generation = global_id::generation("id", &input.id);
        let idempotency_key = match sent_key(context, input.idempotency_key) {
            Ok(key) => key,
            Err(refusal) => return Ok(CancelGenerationPayload::refused(refusal)),
        };
        let use_case = CancelGeneration { account, generation, idempotency_key };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(cancelled) => {
                mark_repeat(context, cancelled.repeated);
                let position = sides.read.token(cancelled.position);
                CancelGenerationPayload {
                    generation: job_at(context, cancelled.generation, &position)
                        .await
                        .map(|edge| edge.map(|edge| edge.node)),
                    repeated: Some(cancelled.repeated),
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => CancelGenerationPayload::refused(error),
        })
    }

    /// Removes a finished job from history, feed and profile, and its files.
    async fn delete_generation(
        &self,
        context: &Context<'_>,
        input: DeleteGenerationInput,
    ) -> Result<DeleteGenerationPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let generation = global_id::generation("id", &input.id);
        let idempotency_key = match sent_key(context, None) {
            Ok(key) => key,
            Err(refusal) => return Ok(DeleteGenerationPayload::refused(refusal)),
        };
        let use_case = DeleteGeneration { account, generation, idempotency_key };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(deleted) => {
                mark_repeat(context, deleted.repeated);
                DeleteGenerationPayload {
                    deleted_id: Some(input.id),
                    position: Some(sides.read.token(deleted.position)),
                    ..Default::default()
                }
            }
            Err(error) => DeleteGenerationPayload::refused(error),
        })
    }
}
