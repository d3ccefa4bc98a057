//! `cancelGeneration`: withdraws a job before delivery; nothing is charged (U13).
//!
//! What happens when the process dies: before the event, nothing; after it, the process manager gives the credits back.

use atelier_domain::generation::{Generation, GenerationCommand, GenerationError};
use atelier_domain::{AccountId, GenerationId};

use super::delete_generation::own_generation;
use crate::command_path::{CommandContext, CommandError, Executed, Target};
use crate::event_store::Position;
use crate::idempotency;
use crate::refusal::{Named, Refusal, UseCaseError, together};
use crate::write_side::WriteSide;

/// Withdraws a job.
#[derive(Debug, Clone)]
pub struct CancelGeneration {
    /// Who asks; must own it.
    pub account: AccountId,
    /// The job.
    pub generation: Named<GenerationId>,
    /// A repeat with the same key is the same withdrawal; the key withdraws no other job.
    pub idempotency_key: Option<String>,
}

/// A withdrawn job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// Which.
    pub generation: GenerationId,
    /// The position to read from.
    pub position: Position,
    /// Whether an earlier request with the same key had done it.
    pub repeated: bool,
}

impl CancelGeneration {
    /// Runs the use case. Withdrawing again changes nothing; a key that meets a withdrawn job has done nothing, and is not used up.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's; `already_ended` when it was delivered or failed; `KeyReused` for another request
    /// under the same key.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Cancelled, UseCaseError> {
        let (generation, sent) = together((self.generation, idempotency::sent(self.idempotency_key.as_deref())))?;
        let meaning = serde_json::json!(["cancelGeneration", generation]);
        let key = idempotency::key(
            write,
            self.account,
            idempotency::CANCEL_GENERATION,
            sent,
            &meaning,
            generation.to_string(),
        );
        let earlier = async || write.path.repeat::<Generation>(key.as_ref()).await.map_err(to_use_case);
        if let Some(repeat) = earlier().await? {
            return Ok(Cancelled { generation, position: repeat.position(), repeated: true });
        }
        own_generation(write, self.account, generation).await?;
        let target = Target { id: generation.to_string(), subject: self.account };
        let command = |_| GenerationCommand::Cancel;
        match write.path.execute::<Generation>(&target, context, key.as_ref(), command).await.map_err(to_use_case)? {
            Executed::Repeat { position, .. } => Ok(Cancelled { generation, position, repeated: true }),
            // Withdrawn already, perhaps by a twin with this key.
            Executed::Done { events, position, .. } if events.is_empty() => {
                let twin = earlier().await?.map(|repeat| repeat.position());
                Ok(Cancelled { generation, position: twin.unwrap_or(position), repeated: twin.is_some() })
            }
            Executed::Done { position, .. } => Ok(Cancelled { generation, position, repeated: false }),
        }
    }
}

fn to_use_case(error: CommandError<GenerationError>) -> UseCaseError {
    error.map(Refusal::from)
}
