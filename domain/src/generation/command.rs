//! What may be asked of a generation.

use super::{FailureReason, Output, RequestTerms};
use crate::text::Prompt;

/// A request, checked and priced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRequest {
    /// What was agreed.
    pub terms: RequestTerms,
    /// What to draw.
    pub prompt: Prompt,
}

/// A command on a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationCommand {
    /// Accept the job; its hold is already placed. A repeat with the same terms is a no-op.
    Request(Box<GenerationRequest>),
    /// Close an id whose hold was found without a job; refused once the job was requested.
    Abandon,
    /// A worker takes the job: from queued, or again from running after a crash.
    Start,
    /// The outputs are stored.
    Succeed {
        /// The attempt that made them; a late one is ignored.
        attempt: u32,
        /// The files.
        outputs: Vec<Output>,
    },
    /// It will not be delivered.
    Fail {
        /// Why.
        reason: FailureReason,
    },
    /// It has waited too long; nothing, once a worker has it.
    FailUnstarted {
        /// Why.
        reason: FailureReason,
    },
    /// Its owner withdraws it before delivery.
    Cancel,
    /// Its owner removes it once it has ended.
    Delete,
}
