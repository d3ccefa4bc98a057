//! A generation: one job from request to delivery, publication and deletion (REQUIREMENTS 3.2).

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::{Generation, Status};
pub use command::{GenerationCommand, GenerationRequest};
pub use error::GenerationError;
pub use event::{FailureReason, GenerationEvent, Output, RequestTerms};
