//! Why a generation refuses.

/// A refusal of the generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerationError {
    /// Nothing was requested under this id, or it was abandoned or deleted.
    #[error("There is no such generation.")]
    NotFound,
    /// Another job, or an abandoned one, has this id.
    #[error("This generation id is already used.")]
    AlreadyUsed,
    /// The job has ended; late results and cancels change nothing (U14).
    #[error("The generation has already ended.")]
    AlreadyEnded,
    /// The job is still at work; cancel it first.
    #[error("The generation is still running; cancel it first.")]
    StillRunning,
    /// A result without a file, with too many, or of an attempt that never started.
    #[error("The result does not fit the request.")]
    InvalidResult,
}
