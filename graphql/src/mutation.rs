//! The root of all mutations: one for each use case.

use async_graphql::MergedObject;

use crate::mutations::{
    ApiKeyMutation, DeletionMutation, GenerationMutation, IdentityMutation, NotificationMutation, PasswordMutation,
    ProfileMutation, SessionMutation,
};

/// The root of all mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    SessionMutation,
    PasswordMutation,
    ProfileMutation,
    NotificationMutation,
    ApiKeyMutation,
    GenerationMutation,
    DeletionMutation,
);
