//! The root of all mutations: one for each use case.

use async_graphql::MergedObject;

use crate::mutations::{
    ApiKeyMutation, AvatarMutation, DataExportMutation, DeletionMutation, ExternalIdentityMutation, GenerationMutation,
    IdentityMutation, NotificationMutation, PasswordMutation, ProfileMutation, SessionMutation, StaffMutation,
    TwoFactorMutation,
};

/// The root of all mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    SessionMutation,
    PasswordMutation,
    TwoFactorMutation,
    ExternalIdentityMutation,
    ProfileMutation,
    AvatarMutation,
    NotificationMutation,
    ApiKeyMutation,
    GenerationMutation,
    DataExportMutation,
    DeletionMutation,
    StaffMutation,
);
