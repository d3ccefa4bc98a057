//! `cancelGeneration`: withdraws a job before delivery; nothing is charged (U13).

use atelier_domain::generation::{Generation, GenerationCommand};
use atelier_domain::{AccountId, GenerationId};

use super::delete_generation::own_generation;
use crate::command_path::{CommandContext, Target};
use crate::event_store::Position;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// Withdraws a job.
#[derive(Debug, Clone, Copy)]
pub struct CancelGeneration {
    /// Who asks; must own it.
    pub account: AccountId,
    /// The job.
    pub generation: GenerationId,
}

impl CancelGeneration {
    /// Runs the use case; the answer is the position to read from.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's; `already_ended` when it was delivered or failed.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        own_generation(write, self.account, self.generation).await?;
        let target = Target { id: self.generation.to_string(), subject: self.account };
        let executed = write.path.execute::<Generation>(&target, context, None, |_| GenerationCommand::Cancel).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}
