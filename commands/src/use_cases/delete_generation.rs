//! `deleteGeneration`: removes a finished job from history, feed and profile; the ledger keeps its entry (A31).

use atelier_domain::generation::{Generation, GenerationCommand};
use atelier_domain::{AccountId, GenerationId};

use crate::command_path::{CommandContext, Target};
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// Removes a finished job.
#[derive(Debug, Clone, Copy)]
pub struct DeleteGeneration {
    /// Who asks; must own it.
    pub account: AccountId,
    /// The job.
    pub generation: GenerationId,
}

impl DeleteGeneration {
    /// Runs the use case; the answer is the position to read from. A repeat changes nothing.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's; `still_running` before its end.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Position, UseCaseError> {
        own_generation(write, self.account, self.generation).await?;
        let target = Target { id: self.generation.to_string(), subject: self.account };
        let executed = write.path.execute::<Generation>(&target, context, None, |_| GenerationCommand::Delete).await;
        Ok(executed.map_err(|error| error.map(Refusal::from))?.position())
    }
}

/// Loads a job if it is the account's own; another's is reported as missing, so that its existence is not revealed.
pub(super) async fn own_generation(
    write: &WriteSide,
    account: AccountId,
    generation: GenerationId,
) -> Result<Generation, UseCaseError> {
    let loaded =
        write.path.load::<Generation>(&generation.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    let own = loaded.state.terms().is_some_and(|terms| terms.account_id == account);
    if own { Ok(loaded.state) } else { Err(Refusal::new(RefusalCode::NotFound, "There is no such generation.").into()) }
}
