//! The root of all mutations: one for each use case.

use async_graphql::MergedObject;

use crate::mutations::{
    ApiKeyMutation, AvatarMutation, DeletionMutation, GenerationMutation, IdentityMutation, ProfileMutation,
};

/// The root of all mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    ProfileMutation,
    AvatarMutation,
    ApiKeyMutation,
    GenerationMutation,
    DeletionMutation,
);
