//! The mail that a generation has ended (A33, V13).

use atelier_domain::account::NoticeKind;
use atelier_domain::generation::{Generation, Status};
use atelier_domain::{AccountId, GenerationId};

use super::letters::Letter;
use super::{Owner, send};
use crate::process::work::WorkError;
use crate::write_side::WriteSide;

/// Tells an owner who wants to know that a generation has ended. The message's id is the job's own, so there is one notice, whatever
/// asks for it; the owner's switch counts as it is when the mail leaves.
pub(in crate::process) async fn generation_notice(
    write: &WriteSide,
    account: AccountId,
    generation: GenerationId,
) -> Result<(), WorkError> {
    const KIND: NoticeKind = NoticeKind::GenerationComplete;
    let job = write.path.load::<Generation>(&generation.to_string()).await;
    let job = job.map_err(|error| WorkError::Command(error.to_string()))?.state;
    let succeeded = match job.status() {
        // Removed since: nothing is left to look at.
        _ if job.deleted() => return Ok(()),
        Status::Succeeded => true,
        Status::Failed => false,
        Status::New | Status::Abandoned | Status::Queued | Status::Running | Status::Cancelled => return Ok(()),
    };
    let Some(owner) = Owner::find(write, account).await?.filter(|owner| owner.wants(KIND)) else { return Ok(()) };
    let letter = Letter::Generation {
        succeeded,
        generation: format!("gen_{}", generation.0.simple()),
        app: write.public_url.clone(),
    };
    send(write, &owner, &format!("generation-notice-{generation}"), &letter, Some(KIND)).await
}
