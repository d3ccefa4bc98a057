//! The root of all mutations: one for each use case.

use async_graphql::MergedObject;

use crate::mutations::{
    ApiKeyMutation, DeletionMutation, GenerationMutation, IdentityMutation, NotificationMutation, ProfileMutation,
};

/// The root of all mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    ProfileMutation,
    NotificationMutation,
    ApiKeyMutation,
    GenerationMutation,
    DeletionMutation,
);
