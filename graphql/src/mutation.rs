//! The root of all mutations: one for each use case.

use async_graphql::MergedObject;

use crate::mutations::{ApiKeyMutation, GenerationMutation, IdentityMutation, ProfileMutation, SessionMutation};

/// The root of all mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(IdentityMutation, SessionMutation, ProfileMutation, ApiKeyMutation, GenerationMutation);
