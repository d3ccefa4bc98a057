//! `deleteGeneration`: removes a finished job from history, feed and profile; the ledger keeps its entry (A31).

use atelier_domain::generation::{Generation, GenerationCommand};
use atelier_domain::{AccountId, GenerationId};

use crate::command_path::{CommandContext, Executed, Target};
use crate::event_store::Position;
use crate::idempotency;
use crate::refusal::{Named, Refusal, RefusalCode, UseCaseError, together};
use crate::write_side::WriteSide;

/// Removes a finished job.
#[derive(Debug, Clone)]
pub struct DeleteGeneration {
    /// Who asks; must own it.
    pub account: AccountId,
    /// The job.
    pub generation: Named<GenerationId>,
    /// A repeat with the same key is the same removal; the key removes no other job.
    pub idempotency_key: Option<String>,
}

/// A removed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Which.
    pub generation: GenerationId,
    /// The position to read from.
    pub position: Position,
    /// Whether an earlier request with the same key had done it.
    pub repeated: bool,
}

impl DeleteGeneration {
    /// Runs the use case. A repeat changes nothing; a key that meets a job that is removed already has done nothing, and is not used up.
    ///
    /// # Errors
    /// `not_found` when it is not the caller's; `still_running` before its end; `KeyReused` for another request under the same key.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Deleted, UseCaseError> {
        let (generation, sent) = together((self.generation, idempotency::sent(self.idempotency_key.as_deref())))?;
        let meaning = serde_json::json!(["deleteGeneration", generation]);
        let kind = idempotency::DELETE_GENERATION;
        let key = idempotency::key(write, self.account, kind, sent, &meaning, generation.to_string());
        let earlier = write.path.repeat::<Generation>(key.as_ref()).await.map_err(|error| error.map(Refusal::from))?;
        if let Some(repeat) = earlier {
            return Ok(Deleted { generation, position: repeat.position(), repeated: true });
        }
        own_generation(write, self.account, generation).await?;
        let target = Target { id: generation.to_string(), subject: self.account };
        let command = |_| GenerationCommand::Delete;
        let executed = write.path.execute::<Generation>(&target, context, key.as_ref(), command).await;
        let executed = executed.map_err(|error| error.map(Refusal::from))?;
        let repeated = matches!(executed, Executed::Repeat { .. });
        Ok(Deleted { generation, position: executed.position(), repeated })
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
