//! Requesting, cancelling and deleting generations.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{CancelGeneration, DeleteGeneration, RequestGeneration};
use atelier_domain::{Environment, GenerationId};

use crate::Sides;
use crate::caller::{command_context, signed_in};
use crate::generation::Generation;
use crate::global_id::GlobalId;
use crate::payload::{outcome, payload, unknown_id};
use crate::query::generation;
use crate::reading::{PUBLIC, Reading};

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
    width: Option<u32>,
    /// Pixels, 64-2048; 1024 when not given.
    height: Option<u32>,
    /// 1-4; 1 when not given. Each costs the model's full price.
    num_images: Option<u32>,
    /// 0 to 2^32-1; chosen when not given.
    seed: Option<u64>,
    /// Refuse if dearer than this.
    max_credits: Option<i64>,
    /// `false` keeps it out of Explore and needs a premium plan.
    publish: Option<bool>,
    /// 1-200 of `A-Z a-z 0-9 . _ : -`: a repeat with the same key and the same input is the same job, paid once.
    idempotency_key: Option<String>,
}

payload! {
    /// The job: its price is held, and its outputs follow.
    RequestGenerationPayload {
        /// The job, as it now is.
        generation: Generation,
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
        generation: Generation,
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

/// The job as it is at a position; `None` when the read models are late, because what was done stands all the same.
async fn job_at(context: &Context<'_>, id: GenerationId, position: &str) -> Option<Generation> {
    let reading = Reading::begin(context, PUBLIC, Some(position)).await.ok()?;
    generation(context, &reading, id).await.ok()?
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
        let use_case = RequestGeneration {
            account,
            environment: Environment::Live,
            api_key: None,
            prompt: input.prompt,
            model: input.model,
            width: input.width,
            height: input.height,
            num_images: input.num_images,
            seed: input.seed,
            max_credits: input.max_credits,
            publish: input.publish,
            idempotency_key: input.idempotency_key,
        };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(accepted) => {
                let position = sides.read.token(accepted.position.0);
                RequestGenerationPayload {
                    generation: job_at(context, accepted.generation, &position).await,
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
        let Some(generation) = GlobalId::generation(&input.id) else {
            return Ok(CancelGenerationPayload::refused(unknown_id("id")));
        };
        let use_case = CancelGeneration { account, generation, idempotency_key: input.idempotency_key };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(cancelled) => {
                let position = sides.read.token(cancelled.position.0);
                CancelGenerationPayload {
                    generation: job_at(context, generation, &position).await,
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
        let Some(generation) = GlobalId::generation(&input.id) else {
            return Ok(DeleteGenerationPayload::refused(unknown_id("id")));
        };
        let use_case = DeleteGeneration { account, generation };
        Ok(match outcome(use_case.run(&sides.write, &command_context(context)?).await)? {
            Ok(position) => DeleteGenerationPayload {
                deleted_id: Some(input.id),
                position: Some(sides.read.token(position.0)),
                ..Default::default()
            },
            Err(error) => DeleteGenerationPayload::refused(error),
        })
    }
}
