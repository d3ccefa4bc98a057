//! The root of all mutations: one for each use case.

use async_graphql::MergedObject;

use crate::mutations::{
    ApiKeyMutation, GenerationMutation, IdentityMutation, PasswordMutation, ProfileMutation, SessionMutation,
};

/// The root of all mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    SessionMutation,
    PasswordMutation,
    ProfileMutation,
    ApiKeyMutation,
    GenerationMutation,
);
