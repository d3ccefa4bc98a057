//! The REST API for API keys (REQUIREMENTS part 3).

pub mod body;
pub mod catalogue;
pub mod generate;
pub mod generations;
pub mod job;
