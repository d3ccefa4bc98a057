//! The mutations, one for each use case, by room.

pub mod api_keys;
pub mod avatars;
pub mod deletion;
pub mod generations;
pub mod identity;
pub mod profile;

pub use api_keys::ApiKeyMutation;
pub use avatars::AvatarMutation;
pub use deletion::DeletionMutation;
pub use generations::GenerationMutation;
pub use identity::IdentityMutation;
pub use profile::ProfileMutation;
